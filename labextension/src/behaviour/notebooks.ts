import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Widget } from '@lumino/widgets';

import type { INotebookCell } from '../model/cellmarks';
import { localPath } from '../model/names';
import { contextOf, mainWidgets, sessionOf } from './widgets';

/** How long a notebook may take to be opened, in milliseconds. */
const OPENING = 60_000;

/** A cell of an open notebook, as JupyterLab 3 and 4 have it. */
export interface ICellWidget {
  model: {
    id: string;
    type: string;
    executionCount?: number | null;
    sharedModel?: { getSource?(): string; setSource?(source: string): void; source?: string };
    /** JupyterLab 3 only. */
    value?: { text: string };
  };
}

export interface INotebook {
  widgets: readonly ICellWidget[];
  activeCellIndex: number;
  isDisposed: boolean;
  deselectAll(): void;
}

/** An open notebook and its session. */
export interface IOpenNotebook {
  widget: Widget;
  notebook: INotebook;
  session: ISessionContext;
}

/** The notebook at this path, if it is open. */
export function openNotebook(shell: JupyterFrontEnd.IShell, path: string): IOpenNotebook | null {
  for (const widget of mainWidgets(shell)) {
    const context = contextOf(widget);
    const session = sessionOf(widget);
    const notebook = (widget as Widget & { content?: INotebook }).content;
    if (
      context !== null &&
      session !== null &&
      notebook?.widgets !== undefined &&
      localPath(context.path) === localPath(path)
    ) {
      return { widget, notebook, session };
    }
  }
  return null;
}

/** Open the notebook, or show it. (Opening it again in Notebook 7 would close it.) */
export async function reveal(app: JupyterFrontEnd, path: string): Promise<void> {
  const open = openNotebook(app.shell, path);
  if (open === null) {
    await app.commands.execute('docmanager:open', { path: localPath(path) });
  } else if (app.shell.currentWidget !== open.widget) {
    app.shell.activateById(open.widget.id);
  }
}

/** Open the notebook; null where the host opens it in another tab of the browser. */
export async function showNotebook(
  app: JupyterFrontEnd,
  path: string
): Promise<IOpenNotebook | null> {
  await reveal(app, path);
  const found = openNotebook(app.shell, path);
  if (found === null) {
    return null;
  }
  await within(OPENING, Promise.all([contextOf(found.widget)?.ready, found.session.ready]));
  return found;
}

/** Rejects when `promise` takes longer than `milliseconds`. */
async function within(milliseconds: number, promise: Promise<unknown>): Promise<void> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error('timeout')), milliseconds);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    window.clearTimeout(timer);
  }
}

export function sourceOf({ model }: ICellWidget): string {
  const { sharedModel } = model;
  return sharedModel?.getSource?.() ?? sharedModel?.source ?? model.value?.text ?? '';
}

export function setSource({ model }: ICellWidget, source: string): void {
  if (model.sharedModel?.setSource !== undefined) {
    model.sharedModel.setSource(source);
  } else if (model.value !== undefined) {
    model.value.text = source;
  }
}

/** The code cells of a notebook, in their order. */
export function codeCells(notebook: INotebook): INotebookCell[] {
  return notebook.widgets
    .filter(cell => cell.model.type === 'code')
    .map(cell => ({
      id: cell.model.id,
      source: sourceOf(cell),
      executionCount: cell.model.executionCount ?? null
    }));
}
