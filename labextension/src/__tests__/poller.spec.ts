import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Poller } from '../behaviour/poller';
import type { IReport } from '../model/types';
import { NOW, at, report, resource } from './given';

describe('Poller', () => {
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

  function newPoller(): Poller {
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

  it('stops the ages while the server does not answer, because it may be used meanwhile', async () => {
    const poller = newPoller();
    await poller.refresh();
    const answeredAt = poller.now;
    await seconds(30);
    expect(poller.now - answeredAt).toBeGreaterThanOrEqual(30_000);
    fails = true;
    await poller.refresh();
    await minutes(5);
    expect(poller.now).toBe(answeredAt);
    fails = false;
    await poller.refresh();
    expect(poller.now).toBe(Date.now());
  });

  it('polls at growing intervals without changes, and reports whether the panel is visible', async () => {
    const poller = newPoller();
    await poller.refresh();
    await minutes(10);
    expect(asked).toEqual([false, false, false, false]); // at 0, 1, 3 and 7 minutes
    asked = [];
    poller.seen = true;
    await minutes(10);
    expect(asked.length).toBeGreaterThanOrEqual(10);
    expect(asked.length).toBeLessThanOrEqual(14);
    expect(asked).not.toContain(false);
  });

  it('polls at the shortest interval after a change', async () => {
    const poller = newPoller();
    poller.seen = true;
    await minutes(10);
    answer = report(resource({ reason: 'busy', idle_since: null, warn_at: null, due_at: null }));
    asked = [];
    while (asked.length === 0) {
      await seconds(1);
    }
    await seconds(10);
    expect(asked).toHaveLength(2);
  });

  it('polls at the time of a warning and at the time of a removal', async () => {
    answer = report(resource({ warn_at: at(2.1), due_at: at(2.6) }));
    const poller = newPoller();
    await poller.refresh();
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

  it('polls several times soon after a request of the user', async () => {
    const poller = newPoller();
    await poller.acted();
    await seconds(6.5);
    expect(asked).toHaveLength(4);
  });

  it('stops polling while the tab is hidden, and polls at once when the tab is visible again', async () => {
    const poller = newPoller();
    await poller.refresh();
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

  it('stops polling if the tab is hidden during a request', async () => {
    const poller = newPoller();
    const asking = poller.refresh();
    visibility = 'hidden';
    onVisibility();
    await asking;
    await minutes(60);
    expect(asked).toHaveLength(1);
  });

  it('polls at growing intervals without an answer, and keeps the last report', async () => {
    const poller = newPoller();
    await poller.refresh();
    fails = true;
    asked = [];
    await minutes(55);
    expect(asked.length).toBeLessThanOrEqual(14);
    expect(poller.state).toMatchObject({ error: 'gone', status: 0, quiet: false });
    expect(poller.state.report?.resources).toEqual([]);
    fails = false;
    await minutes(5);
    expect(poller.state.error).toBeNull();
  });

  it('stops polling after an hour without an answer, until the user returns', async () => {
    fails = true;
    const poller = newPoller();
    await poller.refresh();
    await minutes(70);
    expect(poller.state.quiet).toBe(true);
    asked = [];
    await minutes(600);
    expect(asked).toEqual([]);
    fails = false;
    onVisibility();
    await seconds(0);
    expect(poller.state).toMatchObject({ error: null, quiet: false });
  });

  it('polls at once after an event of the server, and once for many events', async () => {
    const poller = newPoller();
    poller.seen = true;
    await seconds(5);
    asked = [];
    for (let n = 0; n < 20; n += 1) {
      poller.onServerEvent();
    }
    await seconds(0);
    expect(asked).toHaveLength(1);
    await seconds(5);
    expect(asked).toHaveLength(1);
  });

  it('polls at most a few times per second during many events', async () => {
    const poller = newPoller();
    poller.seen = true;
    await seconds(5);
    asked = [];
    for (let n = 0; n < 100; n += 1) {
      poller.onServerEvent();
      await vi.advanceTimersByTimeAsync(20);
    }
    expect(asked.length).toBeLessThanOrEqual(8);
    expect(asked.length).toBeGreaterThanOrEqual(5);
  });

  it('polls rarely if the server sends events', async () => {
    const poller = newPoller();
    poller.seen = true;
    poller.onServerEvent();
    await minutes(1);
    asked = [];
    await minutes(10);
    expect(asked.length).toBeLessThanOrEqual(7);
    expect(asked.length).toBeGreaterThanOrEqual(6);
  });

  it('polls often enough for the server to know that the panel is open', async () => {
    const poller = newPoller();
    poller.seen = true;
    poller.onServerEvent();
    for (let minute = 0; minute < 30; minute += 2) {
      asked = [];
      await minutes(2); // PANEL_SECONDS in auto_shutdown/cycle/app_listing.py
      expect(asked).toContain(true);
    }
  });

  it('polls again after an event that arrives during a request', async () => {
    let answered: (answer: IReport) => void = () => undefined;
    let requests = 0;
    const poller = new Poller(() => {
      requests += 1;
      return new Promise(resolve => (answered = resolve));
    });
    poller.seen = true;
    poller.onServerEvent();
    expect(requests).toBe(1);
    answered({ ...report(), now: new Date(Date.now()).toISOString() });
    await seconds(0.5);
    expect(requests).toBe(2);
  });

  it('ignores events while the tab is hidden', async () => {
    const poller = newPoller();
    poller.seen = true;
    await seconds(0);
    visibility = 'hidden';
    onVisibility();
    asked = [];
    poller.onServerEvent();
    await minutes(5);
    expect(asked).toEqual([]);
  });

  it('uses the clock of the server', async () => {
    const poller = new Poller(async () => ({ ...report(), now: at(7) }));
    await poller.refresh();
    expect(poller.now - Date.now()).toBe(7 * 60_000);
  });
});
