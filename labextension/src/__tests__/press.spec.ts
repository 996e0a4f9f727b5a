import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { LONGEST_PRESS, Press } from '../behaviour/press';

describe('Press', () => {
  let node: EventTarget;
  let page: EventTarget;
  let releases: number;
  let press: Press;

  beforeEach(() => {
    vi.useFakeTimers();
    node = new EventTarget();
    page = new EventTarget();
    releases = 0;
    press = new Press(node, page, () => (releases += 1));
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const down = (button = 0): void =>
    void node.dispatchEvent(Object.assign(new Event('pointerdown'), { button }));
  const up = (name = 'pointerup'): void => void page.dispatchEvent(new Event(name));

  it.each(['pointerup', 'pointercancel'])(
    'remains active until the click that follows %s',
    name => {
      down();
      expect(press.active).toBe(true);
      up(name);
      // The browser sends the click in the same task.
      expect([press.active, releases]).toEqual([true, 0]);
      vi.runAllTimers();
      expect([press.active, releases]).toEqual([false, 1]);
    }
  );

  it('ends after LONGEST_PRESS without a release', () => {
    down();
    vi.advanceTimersByTime(LONGEST_PRESS - 1);
    expect(press.active).toBe(true);
    vi.advanceTimersByTime(1);
    expect([press.active, releases]).toEqual([false, 1]);
    up();
    vi.runAllTimers();
    expect(releases).toBe(1);
  });

  it('ignores other buttons than the main button', () => {
    down(2);
    expect(press.active).toBe(false);
    up();
    vi.runAllTimers();
    expect(releases).toBe(0);
  });

  it('remains active if the user presses the button again at once', () => {
    down();
    up();
    down();
    vi.advanceTimersByTime(LONGEST_PRESS - 1);
    expect([press.active, releases]).toEqual([true, 0]);
    up();
    vi.runAllTimers();
    expect(releases).toBe(1);
  });

  it('resolves released() after the release, or at once without a press', async () => {
    const order: string[] = [];
    await press.released();
    down();
    const waited = press.released().then(() => order.push('released'));
    await Promise.resolve();
    order.push('still pressed');
    up();
    vi.runAllTimers();
    await waited;
    expect(order).toEqual(['still pressed', 'released']);
  });
});
