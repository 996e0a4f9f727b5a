import type { JupyterFrontEnd } from '@jupyterlab/application';
import { URLExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { localPath } from '../model/names';
import type { IStoppedEntry } from '../model/types';
import type { Api } from './api';
import { openNotebook, reveal } from './notebooks';
import type { StoppedEntries } from './stoppedentries';
import { restart } from './widgets';

/** What bringing back needs of the host and of the panel. */
export interface IBringBackHost {
  app: JupyterFrontEnd;
  api: Api;
  entries: StoppedEntries;
  trans: TranslationBundle;
}

interface IKernelId {
  id: string;
}

/**
 * Start the kernels and terminals of `entries` again, and open their notebooks. One after another:
 * each may start an instance. Returns a sentence for each that failed.
 */
export async function startAgain(
  entries: IStoppedEntry[],
  host: IBringBackHost
): Promise<string[]> {
  const failures: string[] = [];
  for (const entry of entries) {
    try {
      if (entry.kind === 'terminal') {
        await startTerminal(entry, host);
      } else {
        failures.push(...(await startKernel(entry, host)));
      }
      if (!entry.cells) {
        await host.entries.forget(entry.id); // there is nothing left to run again
      }
    } catch (error) {
      const name = entry.paths[0] ?? entry.name;
      const why = error instanceof Error ? error.message : String(error);
      failures.push(host.trans.__('%1 could not be brought back: %2', name, why));
    }
  }
  return failures;
}

/** A terminal in the folder in which the old one was. */
async function startTerminal(entry: IStoppedEntry, { app, api }: IBringBackHost): Promise<void> {
  const body = entry.directory === null ? {} : { cwd: entry.directory };
  const { name } = await api.host<{ name: string }>('POST', 'terminals', body);
  await app.serviceManager.terminals.refreshRunning();
  if (app.commands.hasCommand('terminal:open')) {
    await app.commands.execute('terminal:open', { name });
  }
}

/** A kernel of the same kernelspec, with the notebooks that used the old one. Returns a sentence
 * for each notebook that is no longer there. */
async function startKernel(entry: IStoppedEntry, host: IBringBackHost): Promise<string[]> {
  const { app, api, trans } = host;
  const failures: string[] = [];
  const notebooks: string[] = [];
  let kernel: IKernelId | null = null;
  for (const path of entry.paths.map(localPath)) {
    if (!(await isNotebook(path, api))) {
      failures.push(trans.__('%1 is no longer there. Its kernel was started again.', path));
      continue;
    }
    notebooks.push(path);
    kernel = await startFor(path, kernel, entry.kernel_name, host);
  }
  if (kernel === null) {
    kernel = await api.host<IKernelId>('POST', 'kernels', { name: entry.kernel_name });
    if (app.commands.hasCommand('console:create')) {
      await app.commands.execute('console:create', { kernelPreference: { id: kernel.id } });
    }
  }
  await app.serviceManager.sessions.refreshRunning();
  for (const path of notebooks) {
    await reveal(app, path);
  }
  return failures;
}

/** The kernel for one notebook: a new one, or `kernel` where another notebook has started it. */
async function startFor(
  path: string,
  kernel: IKernelId | null,
  name: string,
  { app, api }: IBringBackHost
): Promise<IKernelId | null> {
  const open = openNotebook(app.shell, path);
  if (open !== null) {
    await restart(open.session, kernel ?? { name });
    const id = open.session.session?.kernel?.id;
    return id === undefined ? kernel : { id };
  }
  const body = { path, name: path.split('/').pop(), type: 'notebook', kernel: kernel ?? { name } };
  const session = await api.host<{ kernel: IKernelId }>('POST', 'sessions', body);
  return session.kernel;
}

async function isNotebook(path: string, api: Api): Promise<boolean> {
  try {
    const url = `contents/${URLExt.encodeParts(path)}?content=0`;
    return (await api.host<{ type: string }>('GET', url)).type === 'notebook';
  } catch {
    return false;
  }
}
