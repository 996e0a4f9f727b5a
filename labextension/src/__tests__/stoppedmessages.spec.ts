import { describe, expect, it } from 'vitest';

import { endOf, telling } from '../model/removals';
import { NOW, at, outcome } from './given';

describe('telling()', () => {
  const ended = outcome({ id: 'old', at: at(-30) });

  it.each([
    ['no kernel since the stop', null, true, null, 'stopped'],
    ['no kernel yet, because the document is opening', null, false, null, null],
    ['the old kernel, because the host has not noticed the stop', 'old', true, null, 'stopped'],
    ['a new kernel of a document that was opened again', 'new', true, null, 'new-kernel'],
    ['a new kernel whose message is already shown', 'new', true, 'new-kernel', 'new-kernel'],
    ['a new kernel that the button of the message started', 'new', true, 'stopped', null]
  ] as const)('chooses the message for a kernel: %s', (_, kernel, ready, shown, expected) => {
    expect(telling(ended, kernel, ready, shown, NOW)).toBe(expected);
  });

  it('offers the cells of the old kernel in a new kernel that the button started', () => {
    expect(telling(ended, 'new', true, 'stopped', NOW, true)).toBe('new-kernel');
    expect(telling(ended, 'new', true, 'new-kernel', NOW, true)).toBe('new-kernel');
  });

  it('shows no message about a stop that is older than a week', () => {
    expect(telling({ ...ended, at: at(-8 * 24 * 60) }, 'new', true, null, NOW)).toBeNull();
  });
});

describe('endOf()', () => {
  it('returns the newest removal of this document by the extension', () => {
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
