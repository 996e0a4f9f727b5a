import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Poller } from '../poller';
import type { IReport } from '../types';

const REPORT = { version: 1 } as IReport;

describe('the poller', () => {
  let asked = 0;
  let fails = false;
  let visibility = 'visible';
  let onVisibility: () => void = () => undefined;

  beforeEach(() => {
    vi.useFakeTimers();
    asked = 0;
    fails = false;
    visibility = 'visible';
    vi.stubGlobal('window', { setTimeout, clearTimeout });
    vi.stubGlobal('document', {
      get visibilityState() {
        return visibility;
      },
      addEventListener: (_: string, listener: () => void) => {
        onVisibility = listener;
      },
      removeEventListener: () => undefined
    });
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  function poller(): Poller {
    return new Poller(async () => {
      asked += 1;
      if (fails) {
        throw new Error('gone');
      }
      return REPORT;
    });
  }

  const minutes = (n: number): Promise<unknown> => vi.advanceTimersByTimeAsync(n * 60_000 + 10);

  it('asks once a minute while nobody looks, and six times as often for somebody', async () => {
    const found = poller();
    await found.refresh();
    await minutes(10);
    expect(asked).toBe(11);
    found.seen = true;
    asked = 0;
    await minutes(10);
    expect(asked).toBeGreaterThanOrEqual(60);
    expect(asked).toBeLessThanOrEqual(62);
  });

  it('asks nothing while the tab is hidden, and at once when it is seen again', async () => {
    const found = poller();
    await found.refresh();
    visibility = 'hidden';
    onVisibility();
    asked = 0;
    await minutes(60);
    expect(asked).toBe(0);
    visibility = 'visible';
    onVisibility();
    await minutes(0);
    expect(asked).toBe(1);
  });

  it('asks ever more rarely while there is no answer, and keeps what it knew', async () => {
    const found = poller();
    await found.refresh();
    fails = true;
    asked = 0;
    await minutes(60);
    expect(asked).toBeLessThanOrEqual(14);
    expect(found.state).toEqual({ report: REPORT, error: 'gone' });
    fails = false;
    await minutes(5);
    expect(found.state.error).toBeNull();
  });
});
