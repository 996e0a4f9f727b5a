import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';

import { duration } from '../model/durations';
import { fullName, keyOf, namesOf } from '../model/names';
import { announced, keepChoices, keepers, warning } from '../model/report';
import type { IResource } from '../model/types';
import { panelIcon } from '../view/panelicon';
import type { PanelWidget } from './panelwidget';
import type { Poller } from './poller';

interface IItem {
  label(): string;
  labelTitle(): string;
  detail(): string;
  icon(): LabIcon;
  open(): void;
  shutdown(): void;
}

/** A section of the host's "Running" panel, as JupyterLab 3.1 and newer read it. */
interface ISection {
  name: string;
  shutdownLabel: string;
  /** The button at the top of the section, and the question before it acts. */
  shutdownAllLabel: string;
  shutdownAllConfirmationText: string;
  runningChanged: ISignal<unknown, void>;
  running(): IItem[];
  shutdownAll(): void;
  refreshRunning(): void;
}

type Source = Pick<Poller, 'state' | 'now' | 'changed' | 'refresh'>;
type Actions = Pick<PanelWidget, 'opener' | 'remove' | 'keepAll'>;

/** The resources that stop soon. The button of the whole section keeps them all. */
export function runningSection(poller: Source, panel: Actions, trans: TranslationBundle): ISection {
  const due = (): IResource[] => {
    const { report, error } = poller.state;
    return report === null || error !== null ? [] : announced(report, poller.now);
  };
  const item = (resource: IResource): IItem => {
    const names = namesOf(poller.state.report?.resources ?? [], trans);
    const name = names.get(keyOf(resource));
    const { title, place } = name ?? { title: resource.name, place: '' };
    return {
      // In a narrow panel the host cuts the end of the label, and of a longer detail.
      label: () => `${place} ${title}`.trim(),
      labelTitle: () => fullName({ title, place }),
      detail: () => duration(warning(resource, poller.now) ?? 0, trans),
      icon: () => panelIcon,
      open: () => panel.opener(resource)?.(),
      shutdown: () => panel.remove(resource)
    };
  };
  return {
    name: trans.__('Stopping soon'),
    shutdownLabel: trans.__('Shut down now…'),
    shutdownAllLabel: trans.__('Keep'),
    shutdownAllConfirmationText: trans.__('Keep all that is listed here?'),
    runningChanged: poller.changed,
    running: () => due().map(item),
    shutdownAll: () => {
      const most = poller.state.report?.policy.limits.max_keep_alive_minutes ?? 60;
      panel.keepAll(keepers(due()), keepChoices(most)[0]);
    },
    refreshRunning: () => void poller.refresh()
  };
}

/** Add the section where the host has such a panel. */
export async function addRunningSection(
  app: JupyterFrontEnd,
  poller: Source,
  panel: Actions,
  trans: TranslationBundle
): Promise<void> {
  const { IRunningSessionManagers } = await import('@jupyterlab/running');
  const managers = await app.resolveOptionalService(IRunningSessionManagers);
  managers?.add(runningSection(poller, panel, trans));
}
