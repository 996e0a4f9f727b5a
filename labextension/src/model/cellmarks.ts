/** How a cell that had been run compares with the notebook now. */
export type Mark = 'unchanged' | 'changed' | 'gone';

/** A code cell of the notebook. */
export interface INotebookCell {
  id: string;
  source: string;
  /** The number of its last run; null if it never ran. */
  executionCount: number | null;
}

/** A cell that had been run. `cell` is the id of the unchanged or changed cell in the notebook. */
export interface IMarkedCell {
  code: string;
  mark: Mark;
  cell: string | null;
}

/** A cell whose words are at least this similar counts as changed. Otherwise it counts as gone. */
const SIMILAR = 0.6;
/** The most comparisons of words. After these, a cell without an unchanged copy counts as gone. */
const MOST_COMPARISONS = 2_000_000;

/** The code of a cell as its kernel stores it: without the line ends after the code. */
export function keptSource(source: string): string {
  return source.replace(/\n+$/, '');
}

/**
 * Compare the cells that had been run, in the order in which they ran, with the code cells of the
 * notebook. `complete`: the first cell is the one that ran first in its kernel.
 */
export function markCells(
  ran: string[],
  notebook: INotebookCell[],
  complete: boolean
): IMarkedCell[] {
  const exact = new Map<string, string>();
  for (const cell of notebook) {
    const source = keptSource(cell.source);
    if (!exact.has(source)) {
      exact.set(source, cell.id);
    }
  }
  const similarity = new Similarity(notebook);
  const known = new Map<string, string | null>();
  return ran.map((code, index) => {
    const same = exact.get(keptSource(code));
    if (same !== undefined) {
      return { code, mark: 'unchanged', cell: same };
    }
    const numbered = complete ? notebook.find(c => c.executionCount === index + 1) : undefined;
    if (numbered !== undefined && similarity.shareAWord(code, numbered.id)) {
      return { code, mark: 'changed', cell: numbered.id };
    }
    if (!known.has(code)) {
      known.set(code, similarity.mostSimilar(code));
    }
    const cell = known.get(code) ?? null;
    return { code, mark: cell === null ? 'gone' : 'changed', cell };
  });
}

/** The words of the notebook's cells, by which code is compared with all of them at once. */
class Similarity {
  constructor(notebook: INotebookCell[]) {
    for (const { id, source } of notebook) {
      const words = wordsOf(source);
      this._sizes.set(id, words.size);
      for (const word of words) {
        const cells = this._cells.get(word);
        if (cells === undefined) {
          this._cells.set(word, [id]);
        } else {
          cells.push(id);
        }
      }
    }
  }

  shareAWord(code: string, id: string): boolean {
    return [...wordsOf(code)].some(word => this._cells.get(word)?.includes(id) ?? false);
  }

  /** The cell that has most words in common with `code`; null where none is similar. */
  mostSimilar(code: string): string | null {
    const words = wordsOf(code);
    const shared = new Map<string, number>();
    for (const word of words) {
      for (const id of this._cells.get(word) ?? []) {
        if ((this._comparisons += 1) > MOST_COMPARISONS) {
          return null;
        }
        shared.set(id, (shared.get(id) ?? 0) + 1);
      }
    }
    let best: string | null = null;
    let most = SIMILAR;
    for (const [id, count] of shared) {
      const similarity = (2 * count) / (words.size + (this._sizes.get(id) ?? 0));
      if (similarity >= most) {
        [best, most] = [id, similarity];
      }
    }
    return best;
  }

  private readonly _cells = new Map<string, string[]>();
  private readonly _sizes = new Map<string, number>();
  private _comparisons = 0;
}

function wordsOf(code: string): Set<string> {
  return new Set(code.match(/[\p{L}\p{N}_.]+/gu) ?? []);
}
