import { showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { keptSource, markCells } from '../model/cellmarks';
import type { IMarkedCell } from '../model/cellmarks';
import type { IStoppedEntry } from '../model/types';
import { Message } from '../view/message';
import { askWhichCells } from './celldialog';
import { codeCells, setSource, showNotebook, sourceOf } from './notebooks';
import type { INotebook, IOpenNotebook } from './notebooks';
import type { IBringBackHost } from './startagain';
import { restart } from './widgets';

/**
 * Ask which of the cells that had been run are to run again, and run them in their order in their
 * notebook, up to the first error. Forgets the entry once all that were chosen have run.
 */
export async function runAgain(entry: IStoppedEntry, host: IBringBackHost): Promise<void> {
  const { app, api, entries, trans } = host;
  const open = await showNotebook(app, entry.paths[0]);
  if (open === null) {
    await showErrorMessage(
      trans.__('Auto Shutdown'),
      trans.__('Open the notebook and choose this there.')
    );
    return;
  }
  const { cells, complete } = await api.stoppedSession(entry.id);
  const marked = markCells(cells ?? [], codeCells(open.notebook), complete);
  const chosen = await askWhichCells(entry.paths[0], marked, complete, trans);
  if (chosen.length === 0) {
    return;
  }
  if (!open.session.session?.kernel) {
    await restart(open.session, { name: entry.kernel_name });
  }
  if (await runInTurn(chosen, open, trans)) {
    await entries.forget(entry.id);
  }
}

/** Run cells one after another. Returns whether all succeeded. */
async function runInTurn(
  cells: IMarkedCell[],
  open: IOpenNotebook,
  trans: TranslationBundle
): Promise<boolean> {
  const { notebook, session, widget } = open;
  let interrupted = false;
  const close = { label: trans.__('Close this message'), press: (): void => strip.dispose() };
  const interrupt = (): void => {
    interrupted = true;
    void session.session?.kernel?.interrupt();
  };
  let strip = new Message([], [{ label: trans.__('Interrupt'), press: interrupt }], null);
  strip.attachTo(widget);
  let done = 0;
  let succeeded = true;
  try {
    for (const cell of cells) {
      strip.text = trans.__('Running cell %1 of %2.', done + 1, cells.length);
      succeeded = !notebook.isDisposed && (await runOne(cell, notebook, session));
      if (!succeeded || interrupted) {
        break;
      }
      done += 1;
    }
  } catch {
    succeeded = false; // the host has shown its own dialog
  }
  strip.dispose();
  if (!widget.isDisposed) {
    strip = new Message([endWords(done, cells.length, interrupted, trans)], [], close);
    strip.attachTo(widget);
  }
  return succeeded && !interrupted;
}

function endWords(
  done: number,
  all: number,
  interrupted: boolean,
  trans: TranslationBundle
): string {
  if (interrupted) {
    return trans.__('Interrupted at cell %1 of %2. The rest was not run.', done + 1, all);
  }
  return done === all
    ? trans._n('%1 cell was run.', '%1 cells were run.', all)
    : trans.__('Cell %1 of %2 failed. The rest was not run.', done + 1, all);
}

/** Run a cell in its place; code that is no longer in the notebook in a new cell at its end. */
async function runOne(
  cell: IMarkedCell,
  notebook: INotebook,
  session: IOpenNotebook['session']
): Promise<boolean> {
  const { NotebookActions } = await import('@jupyterlab/notebook');
  const place = notebook.widgets.findIndex(
    found => found.model.id === cell.cell && keptSource(sourceOf(found)) === keptSource(cell.code)
  );
  notebook.deselectAll();
  if (place >= 0) {
    notebook.activeCellIndex = place;
  } else {
    notebook.activeCellIndex = notebook.widgets.length - 1;
    NotebookActions.insertBelow(notebook);
    NotebookActions.changeCellType(notebook, 'code');
    setSource(notebook.widgets[notebook.activeCellIndex], cell.code);
  }
  return NotebookActions.run(notebook, session);
}
