import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import type { IMarkedCell, Mark } from '../model/cellmarks';
import { ask } from './ask';

/** The cells that had been run, in their order, each with a box. Those that are still in the
 * notebook are ticked. */
class CellList extends Widget {
  constructor(cells: IMarkedCell[], complete: boolean, trans: TranslationBundle) {
    super();
    this.addClass('jp-AS-cellList');
    const sentences = [
      trans.__('The cells run in this order, up to the first error. You can interrupt them.'),
      trans.__('Code that is no longer in the notebook runs in a new cell at its end.')
    ];
    if (!complete) {
      sentences.push(trans.__('The first cells are not known: there were too many.'));
    }
    const hint = document.createElement('p');
    hint.textContent = sentences.join(' ');
    const list = document.createElement('ol');
    for (const cell of cells) {
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = cell.mark === 'unchanged';
      const code = document.createElement('code');
      code.textContent = cell.code;
      const mark = document.createElement('span');
      mark.className = 'jp-AS-mark';
      mark.textContent = markWords(cell.mark, trans);
      const label = document.createElement('label');
      label.append(box, mark, code);
      const item = document.createElement('li');
      item.dataset.mark = cell.mark;
      item.append(label);
      list.append(item);
      this._boxes.push([box, cell]);
    }
    const choices = document.createElement('p');
    choices.className = 'jp-AS-line';
    choices.append(
      this._choice(trans.__('All'), () => true),
      this._choice(trans.__('None'), () => false),
      this._choice(trans.__('Unchanged only'), cell => cell.mark === 'unchanged')
    );
    this.node.append(hint, choices, list);
  }

  /** The ticked cells. The dialog calls this method. */
  getValue(): IMarkedCell[] {
    return this._boxes.filter(([box]) => box.checked).map(([, cell]) => cell);
  }

  private _choice(label: string, ticked: (cell: IMarkedCell) => boolean): HTMLElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'jp-AS-button';
    button.textContent = label;
    button.addEventListener('click', () => {
      this._boxes.forEach(([box, cell]) => (box.checked = ticked(cell)));
    });
    return button;
  }

  private readonly _boxes: [HTMLInputElement, IMarkedCell][] = [];
}

function markWords(mark: Mark, trans: TranslationBundle): string {
  switch (mark) {
    case 'unchanged':
      return trans.__('unchanged');
    case 'changed':
      return trans.__('changed since');
    case 'gone':
      return trans.__('no longer in the notebook');
  }
}

/** Ask which of the cells to run; empty when the user cancels. */
export async function askWhichCells(
  path: string,
  cells: IMarkedCell[],
  complete: boolean,
  trans: TranslationBundle
): Promise<IMarkedCell[]> {
  const title = trans.__('Run what had been run in %1', path);
  const body = new CellList(cells, complete, trans);
  const run = Dialog.okButton({ label: trans.__('Run') });
  const answer = await ask<IMarkedCell[]>(title, body, run, trans);
  return answer.button.accept ? (answer.value ?? []) : [];
}
