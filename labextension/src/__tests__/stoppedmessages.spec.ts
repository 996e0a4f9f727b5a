import { describe, expect, it } from 'vitest';

import { endOf, telling } from '../model/removals';
import { NOW, at, outcome } from './given';

describe('whether a document tells of the end of its kernel', () => {
  const ended = outcome({ id: 'old', at: at(-30) });

  it.each([
    ['none since', null, true, null, 'stopped'],
    ['none yet, while it opens', null, false, null, null],
    ['the host has not noticed', 'old', true, null, 'stopped'],
    ['opened again, with a new one', 'new', true, null, 'new-kernel'],
    ['that stays until it is closed', 'new', true, 'new-kernel', 'new-kernel'],
    ['restarted by the button', 'new', true, 'stopped', null]
  ] as const)('%s', (_, kernel, ready, shown, expected) => {
    expect(telling(ended, kernel, ready, shown, NOW)).toBe(expected);
  });

  it('offers the cells of the old kernel in a new one that was started from here', () => {
    expect(telling(ended, 'new', true, 'stopped', NOW, true)).toBe('new-kernel');
    expect(telling(ended, 'new', true, 'new-kernel', NOW, true)).toBe('new-kernel');
  });

  it('is no news any more after a week', () => {
    expect(telling({ ...ended, at: at(-8 * 24 * 60) }, 'new', true, null, NOW)).toBeNull();
  });
});

describe('which end is told', () => {
  it('is the newest of this document that was ours', () => {
    const all = [
      outcome({ id: 'gone', outcome: 'gone' }),
      outcome({ id: 'failed', outcome: 'permanent' }),
      outcome({ id: 'newest', paths: ['RTC:work/train.ipynb'] }),
      outcome({ id: 'older' })
    ];
    expect(endOf('work/train.ipynb', all)?.id).toBe('newest');
    expect(endOf('train.ipynb', all)).toBeNull();
  });
});
