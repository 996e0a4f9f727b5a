import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Announcer } from '../behaviour/announcer';
import { Claims } from '../behaviour/claims';
import type { Poller } from '../behaviour/poller';
import type { IButton } from '../view/props';
import type { IReport, IResource } from '../model/types';
import { APP, NOW, active, at, report, resource } from './given';

/** A page with its own announcer; the storage is shared between the pages of a test. */
class Page {
  constructor(name: string, storage: Pick<Storage, 'getItem' | 'setItem'>) {
    const signal = new Signal<this, void>(this);
    const poller = {
      state: { report: null as IReport | null, error: null as string | null },
      now: NOW,
      changed: signal
    };
    this.state = poller.state;
    this.announcer = new Announcer({
      poller: poller as unknown as Poller,
      claims: new Claims(storage, 'n', name),
      notifications: {
        show: (message, buttons) => {
          const id = `${name}${this.shown.size}-${Math.random()}`;
          this.shown.set(id, { message, buttons });
          return id;
        },
        update: (id, message) => {
          const toast = this.shown.get(id);
          if (toast !== undefined) {
            toast.message = message;
          }
        },
        dismiss: id => void this.shown.delete(id),
        tell: () => undefined,
        onClosed: closed => {
          this.closed = closed;
        }
      },
      trans: nullTranslator.load(''),
      lead: () => this.lead,
      keep: resources => this.kept.push(...resources),
      stopNow: resources => this.stopped.push(...resources),
      open: () => undefined
    });
  }

  async see(...resources: IResource[]): Promise<string[]> {
    this.state.report = report(...resources);
    await this.announcer.update();
    return [...this.shown.values()].map(({ message }) => message);
  }

  /** The person closes the first one. */
  close(): void {
    const [id] = this.shown.keys();
    this.shown.delete(id);
    this.closed(id);
  }

  readonly announcer: Announcer;
  readonly shown = new Map<string, { message: string; buttons: IButton[] }>();
  readonly kept: IResource[] = [];
  readonly stopped: IResource[] = [];
  readonly state: { report: IReport | null; error: string | null };
  lead: number | null = Infinity;
  private closed: (id: string) => void = () => undefined;
}

const DUE = { warn_at: at(-1), due_at: at(4) };
const EVAL = resource({ ...DUE, id: 'eval', paths: ['eval.ipynb'] });
const INSIDE = { ...EVAL, app: APP.id };

describe('the announcer', () => {
  let visibility = 'visible';
  let one: Page;
  let other: Page;

  beforeEach(() => {
    visibility = 'visible';
    vi.stubGlobal('window', { addEventListener: () => undefined });
    vi.stubGlobal('document', {
      get visibilityState() {
        return visibility;
      }
    });
    vi.useFakeTimers({ now: NOW });
    const kept = new Map<string, string>();
    const storage = {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => void kept.set(name, value)
    };
    one = new Page('one', storage);
    other = new Page('other', storage);
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('shows one notification for each deadline, in one page only', async () => {
    expect(await one.see(EVAL)).toHaveLength(1);
    expect(await one.see(EVAL)).toHaveLength(1);
    expect(await other.see(EVAL)).toHaveLength(0);
  });

  it('shows one notification for a kernel and its app, and one button keeps both', async () => {
    const [message] = await one.see(INSIDE, { ...APP, ...DUE });
    expect(message).toContain('eval.ipynb and pytorch-1-8 stop at');
    [...one.shown.values()][0].buttons[0].press();
    expect(one.kept.map(r => r.id)).toEqual([APP.id]);
  });

  it('removes a resource from the notification when the resource becomes active', async () => {
    await one.see(INSIDE, { ...APP, ...DUE });
    const [message] = await one.see(active('busy', { id: 'eval' }), { ...APP, ...DUE });
    expect(message).toMatch(/^pytorch-1-8 stops at/);
    expect(await one.see(active('busy', { id: 'eval' }))).toEqual([]);
  });

  it('does not show a closed notification again until the next deadline', async () => {
    await one.see(EVAL);
    one.close();
    expect(await one.see(EVAL)).toEqual([]);
    expect(await other.see(EVAL)).toEqual([]);
    expect(await one.see({ ...EVAL, due_at: at(64) })).toHaveLength(1);
  });

  it('moves the notification to the visible page', async () => {
    await one.see(EVAL);
    visibility = 'hidden';
    expect(await one.see(EVAL)).toEqual([]);
    visibility = 'visible';
    expect(await other.see(EVAL)).toHaveLength(1);
    expect(await one.see(EVAL)).toEqual([]);
  });

  it('waits for the lead time of the user, and shows nothing without a lead time', async () => {
    one.lead = 2 * 60_000;
    expect(await one.see(EVAL)).toEqual([]);
    expect(await one.see({ ...EVAL, due_at: at(2) })).toHaveLength(1);
    other.lead = null;
    expect(await other.see({ ...EVAL, id: 'x' })).toEqual([]);
  });

  it('shows nothing while the server does not answer', async () => {
    one.state.error = 'gone';
    expect(await one.see(EVAL)).toEqual([]);
  });
});
