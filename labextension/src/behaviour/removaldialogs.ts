import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { loss } from '../model/loss';
import { nameAmong } from '../model/names';
import { keepers } from '../model/report';
import type { IReport, IResource } from '../model/types';
import type { Api } from './api';
import { ask } from './ask';
import { askWhichIdle } from './idledialog';
import { askStopNow } from './stopnow';

/** What the removals below need of the panel. */
export interface IRemovalHost {
  api: Api;
  report: IReport;
  /** The time on the server, in milliseconds. */
  now: number;
  trans: TranslationBundle;
  /** Save the unsaved documents of these kernels. */
  save(kernels: string[]): Promise<unknown>;
  /** Make requests. Shows an error if one fails. */
  attempt(requests: () => Promise<unknown>): Promise<unknown>;
}

/** Ask whether to shut down `resource`, and do it. */
export async function askAndRemove(resource: IResource, host: IRemovalHost): Promise<void> {
  const { api, report, trans } = host;
  const name = nameAmong(resource, report.resources, trans);
  const accept = Dialog.warnButton({ label: trans.__('Shut down') });
  const body = loss(resource.kind, report.platform.kind, trans);
  const answer = await ask(trans.__('Shut down %1 now?', name), body, accept, trans);
  if (answer.button.accept) {
    await host.attempt(() => api.remove(resource.kind, resource.id));
  }
}

/** Ask which of the idle resources to shut down, and do it. A failure does not stop the others. */
export async function askAndRemoveIdle(host: IRemovalHost): Promise<void> {
  const { api, report, now, trans } = host;
  // One after the other: each is a request of its own to SageMaker.
  for (const { kind, id } of await askWhichIdle(report, now, trans)) {
    await host.attempt(() => api.remove(kind, id));
  }
}

/** Ask whether to stop now what a notice has announced. Saves its documents first. */
export async function askAndStopNow(resources: IResource[], host: IRemovalHost): Promise<void> {
  const { api, report, trans } = host;
  const names = resources.map(r => nameAmong(r, report.resources, trans));
  if (!(await askStopNow(names, report.platform.kind, trans))) {
    return;
  }
  const ids = resources.map(r => r.id);
  const kernels = report.resources.filter(
    r => r.kind === 'kernel' && (ids.includes(r.id) || ids.includes(r.app ?? ''))
  );
  await host.attempt(async () => {
    await host.save(kernels.map(r => r.id));
    for (const { kind, id } of keepers(resources)) {
      await api.remove(kind, id);
    }
  });
}
