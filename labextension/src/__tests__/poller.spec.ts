import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Poller } from '../behaviour/poller';
import type { IReport } from '../model/types';
import { NOW, at, report, resource } from './given';

describe('the poller', () => {
  let asked: boolean[] = [];
  let fails = false;
  let visibility = 'visible';
  let onVisibility: () => void = () => undefined;
  let answer: IReport = report();

  beforeEach(() => {
    vi.useFakeTimers({ now: NOW });
    asked = [];
    fails = false;
    visibility = 'visible';
    answer = report();
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
    return new Poller(async panel => {
      asked.push(panel);
      if (fails) {
        throw new Error('gone');
      }
      return { ...answer, now: new Date(Date.now()).toISOString() };
    });
  }

  const seconds = (n: number): Promise<unknown> => vi.advanceTimersByTimeAsync(n * 1000 + 10);
  const minutes = (n: number): Promise<unknown> => seconds(n * 60);

  it('asks ever more rarely while nothing changes, and says whether somebody looks', async () => {
    const found = poller();
    await found.refresh();
    await minutes(10);
    expect(asked).toEqual([false, false, false, false]); // at 0, 1, 3 and 7 minutes
    asked = [];
    found.seen = true;
    await minutes(10);
    expect(asked.length).toBeGreaterThanOrEqual(10);
    expect(asked.length).toBeLessThanOrEqual(14);
    expect(asked).not.toContain(false);
  });

  it('asks at its shortest pause again once something has changed', async () => {
    const found = poller();
    found.seen = true;
    await minutes(10);
    answer = report(resource({ reason: 'busy', idle_since: null, warn_at: null, due_at: null }));
    asked = [];
    while (asked.length === 0) {
      await seconds(1);
    }
    await seconds(10);
    expect(asked).toHaveLength(2);
  });

  it('is there when something is announced, and when it is removed', async () => {
    answer = report(resource({ warn_at: at(2.1), due_at: at(2.6) }));
    const found = poller();
    await found.refresh();
    await minutes(1); // the first pause; the next would be two minutes
    asked = [];
    await seconds(1.1 * 60 + 1.5);
    expect(asked).toHaveLength(1);
    await seconds(30);
    expect(asked).toHaveLength(2);
    // It is still there: its removal can end at any moment.
    await seconds(10);
    expect(asked).toHaveLength(5);
    await minutes(2);
    asked = [];
    await minutes(2);
    expect(asked.length).toBeLessThanOrEqual(2);
  });

  it('looks again soon after something was asked of the server', async () => {
    const found = poller();
    await found.acted();
    await seconds(6.5);
    expect(asked).toHaveLength(4);
  });

  it('asks nothing while the tab is hidden, and at once when it is seen again', async () => {
    const found = poller();
    await found.refresh();
    visibility = 'hidden';
    onVisibility();
    asked = [];
    await minutes(60);
    expect(asked).toEqual([]);
    visibility = 'visible';
    onVisibility();
    await minutes(0);
    expect(asked).toHaveLength(1);
  });

  it('asks nothing more when the tab was hidden while it asked', async () => {
    const found = poller();
    const asking = found.refresh();
    visibility = 'hidden';
    onVisibility();
    await asking;
    await minutes(60);
    expect(asked).toHaveLength(1);
  });

  it('asks ever more rarely while there is no answer, and keeps what it knew', async () => {
    const found = poller();
    await found.refresh();
    fails = true;
    asked = [];
    await minutes(55);
    expect(asked.length).toBeLessThanOrEqual(14);
    expect(found.state).toMatchObject({ error: 'gone', status: 0, quiet: false });
    expect(found.state.report?.resources).toEqual([]);
    fails = false;
    await minutes(5);
    expect(found.state.error).toBeNull();
  });

  it('is quiet once the server has been gone for an hour, until somebody comes back', async () => {
    fails = true;
    const found = poller();
    await found.refresh();
    await minutes(70);
    expect(found.state.quiet).toBe(true);
    asked = [];
    await minutes(600);
    expect(asked).toEqual([]);
    fails = false;
    onVisibility();
    await seconds(0);
    expect(found.state).toMatchObject({ error: null, quiet: false });
  });

  it('asks at once when the server says that something changed, and once for many events', async () => {
    const found = poller();
    found.seen = true;
    await seconds(5);
    asked = [];
    for (let n = 0; n < 20; n += 1) {
      found.onServerEvent();
    }
    await seconds(0);
    expect(asked).toHaveLength(1);
    await seconds(5);
    expect(asked).toHaveLength(1);
  });

  it('asks at most a few times a second, however many events there are', async () => {
    const found = poller();
    found.seen = true;
    await seconds(5);
    asked = [];
    for (let n = 0; n < 100; n += 1) {
      found.onServerEvent();
      await vi.advanceTimersByTimeAsync(20);
    }
    expect(asked.length).toBeLessThanOrEqual(8);
    expect(asked.length).toBeGreaterThanOrEqual(5);
  });

  it('polls rarely where events arrive', async () => {
    const found = poller();
    found.seen = true;
    found.onServerEvent();
    await minutes(1);
    asked = [];
    await minutes(10);
    expect(asked.length).toBeLessThanOrEqual(7);
    expect(asked.length).toBeGreaterThanOrEqual(6);
  });

  it('asks often enough for the server to know that the panel is open', async () => {
    const found = poller();
    found.seen = true;
    found.onServerEvent();
    for (let minute = 0; minute < 30; minute += 2) {
      asked = [];
      await minutes(2); // PANEL_SECONDS in auto_shutdown/cycle/app_listing.py
      expect(asked).toContain(true);
    }
  });

  it('does not lose an event that comes while it asks', async () => {
    let answered: (found: IReport) => void = () => undefined;
    let requests = 0;
    const found = new Poller(() => {
      requests += 1;
      return new Promise(resolve => (answered = resolve));
    });
    found.seen = true;
    found.onServerEvent();
    expect(requests).toBe(1);
    answered({ ...report(), now: new Date(Date.now()).toISOString() });
    await seconds(0.5);
    expect(requests).toBe(2);
  });

  it('asks nothing for an event while the tab is hidden', async () => {
    const found = poller();
    found.seen = true;
    await seconds(0);
    visibility = 'hidden';
    onVisibility();
    asked = [];
    found.onServerEvent();
    await minutes(5);
    expect(asked).toEqual([]);
  });

  it("goes by the server's clock", async () => {
    const found = new Poller(async () => ({ ...report(), now: at(7) }));
    await found.refresh();
    expect(found.now - Date.now()).toBe(7 * 60_000);
  });
});
