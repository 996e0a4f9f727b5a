import { describe, expect, it } from 'vitest';

import { markCells } from '../model/cellmarks';
import type { INotebookCell } from '../model/cellmarks';

function cell(id: string, source: string, executionCount: number | null = null): INotebookCell {
  return { id, source, executionCount };
}

/** `mark cell` of each cell that had been run. */
function marks(ran: string[], notebook: INotebookCell[], complete = true): string[] {
  return markCells(ran, notebook, complete).map(({ mark, cell }) => `${mark} ${cell ?? '-'}`);
}

describe('markCells() marks the cells that had been run', () => {
  const load = 'table = read_csv("data.csv")\ntable = table.dropna()\ntable.head()';
  const fit = 'model = Forest(trees=100)\nmodel.fit(table, labels)';

  it.each([
    ['unchanged', [load, fit], [cell('a', load), cell('b', fit)], ['unchanged a', 'unchanged b']],
    [
      'unchanged except for trailing line ends',
      [load],
      [cell('a', load + '\n\n')],
      ['unchanged a']
    ],
    ['run twice', [load, load], [cell('a', load)], ['unchanged a', 'unchanged a']],
    [
      'edited, and run before and after',
      [fit, fit.replace('100', '200')],
      [cell('a', fit.replace('100', '200'))],
      ['changed a', 'unchanged a']
    ],
    ['edited, and not run since', ['x = 1'], [cell('a', 'x = 2', 1)], ['changed a']],
    ['deleted', [load, fit], [cell('b', fit)], ['gone -', 'unchanged b']],
    ['another cell has its execution count', [load], [cell('b', fit.slice(0, 25), 1)], ['gone -']],
    ['an empty notebook', [load], [], ['gone -']],
    ['no cell was run', [], [cell('a', load)], []],
    ['the same code in two cells', ['x'], [cell('a', 'x'), cell('b', 'x')], ['unchanged a']]
  ])('%s', (_, ran, notebook, expected) => {
    expect(marks(ran, notebook)).toEqual(expected);
  });

  it('markCells() ignores execution counts when the first cells are missing', () => {
    expect(marks(['x = 1'], [cell('a', 'x = 2', 1)], false)).toEqual(['gone -']);
  });

  it('markCells() marks 10,000 runs of 1,000 cells quickly', () => {
    const notebook = Array.from({ length: 1000 }, (_, i) =>
      cell(`c${i}`, `value_${i} = compute(${i}, table, ${'more, '.repeat(20)})`)
    );
    const ran = Array.from({ length: 10_000 }, (_, i) => `value_${i} = compute(table, more)`);
    expect(marks(ran, notebook)).toHaveLength(10_000);
  });
});
