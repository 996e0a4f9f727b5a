import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { comesBack, countWords, endedBefore, entryOf } from '../model/bringback';
import type { IOutcome } from '../model/types';
import { at, entry, outcome } from './given';

const trans = nullTranslator.load('');

describe('entryOf() returns for a removal', () => {
  const entries = [
    entry({ id: 'new', resource: 'k' }),
    entry({ id: 'old', resource: 'k' }),
    entry({ id: 'terminal', kind: 'terminal', resource: '1' })
  ];

  it.each([
    ['the newest entry of this kernel', { kind: 'kernel', id: 'k' }, 'new'],
    ['the entry of a terminal', { kind: 'terminal', id: '1' }, 'terminal'],
    ['no entry of another kind', { kind: 'kernel', id: '1' }, undefined],
    ['no entry for an app', { kind: 'app', id: 'k' }, undefined]
  ] as const)('is %s', (_, more, expected) => {
    expect(entryOf(outcome(more), entries)?.id).toBe(expected);
  });
});

describe('endedBefore() offers after a restart of the server', () => {
  const ending = { ends_server: true };
  const a = entry({ id: 'a', at: at(-30), ...ending });
  const b = entry({ id: 'b', at: at(-30), ...ending });
  const sooner = entry({ id: 'sooner', at: at(-90) });
  const yesterday = entry({ id: 'yesterday', at: at(-1500), ...ending });
  const later = entry({ id: 'later', at: at(-10) });
  const app = (minutes: number): IOutcome =>
    outcome({ kind: 'app', id: 'own', at: at(minutes), ...ending });

  it.each([
    [
      'all entries of the last run of the server',
      [a, b, sooner, yesterday],
      [],
      at(-5),
      ['a', 'b', 'sooner']
    ],
    [
      'the kernels that ended before the app ended alone',
      [sooner, yesterday],
      [app(-29)],
      at(-5),
      ['sooner']
    ],
    ['no entry of the run before the last', [sooner], [app(-29), app(-60)], at(-5), null],
    ['no entry while the server went on', [later], [], at(-5), null],
    ['no entry that was stopped since the start', [a, b, later], [app(-29)], at(-60), null],
    ['no entry that is older than a day', [yesterday], [app(-29)], at(-5), null],
    ['no entry without any', [], [], at(0), null]
  ])('is %s', (_, entries, removals, started, expected) => {
    const offer = endedBefore(entries, removals, started);
    expect(offer?.entries.map(({ id }) => id) ?? null).toEqual(expected);
  });

  it('countWords() counts each notebook once, and omits kinds without a member', () => {
    const shared = entry({ paths: ['a.ipynb', 'b.ipynb'] });
    const again = entry({ id: 'e2', paths: ['b.ipynb'] });
    const terminal = entry({ id: 'e3', kind: 'terminal', paths: [] });
    expect(countWords([shared, again, terminal], trans)).toBe('2 notebooks, 2 kernels, 1 terminal');
    expect(countWords([terminal], trans)).toBe('1 terminal');
    expect(countWords([entry({ paths: [] })], trans)).toBe('1 kernel');
  });
});

describe('the text before a stop', () => {
  it('names what is lost, and warns on Studio Classic that apps may not start', () => {
    expect(comesBack('local', trans).join(' ')).toContain('Does not come back: the variables');
    expect(comesBack('local', trans).join(' ')).not.toContain('Studio Classic');
    expect(comesBack('studio-classic', trans).join(' ')).toContain('may not be able to start');
  });
});
