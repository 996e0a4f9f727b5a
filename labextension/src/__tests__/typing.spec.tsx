// @vitest-environment happy-dom

/** Typing and clicking in the fields of the panel, faster than the host draws and than the server
 * answers. React and the fields are real; the document is happy-dom. */

import { nullTranslator } from '@jupyterlab/translation';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import type { Root } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Look } from '../behaviour/look';
import type { Poller } from '../behaviour/poller';
import { ServerSettings } from '../behaviour/serversettings';
import type { Change, ISettingsAnswer } from '../model/types';
import { h } from '../view/jsx';
import { PanelView, SETTINGS } from '../view/panelview';
import { ACTIONS, NOW, report, resource, still } from './given';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

/** A change that the server has received, and how the test answers it. */
interface IPatch {
  change: Change;
  accept(): Promise<void>;
  refuse(status?: number): Promise<void>;
}

const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 0));

describe('a field of the panel', () => {
  const currentReport = report(
    ...Array.from({ length: 12 }, (_, n) => resource({ id: String(n) }))
  );
  let served: ISettingsAnswer;
  let patches: IPatch[];
  let look: Look;
  let settings: ServerSettings;
  let root: Root;
  let node: HTMLElement;

  beforeEach(async () => {
    await SETTINGS.load();
    const { locked, limits, ...values } = report().policy;
    served = { settings: values, user: {}, defaults: values, limits, locked };
    patches = [];
    const patch = (change: Change): Promise<ISettingsAnswer> =>
      new Promise((resolve, reject) => {
        patches.push({
          change,
          accept: () => {
            const changed = { ...served.settings, ...(change as object) };
            served = { ...served, settings: changed };
            resolve(served);
            return settle();
          },
          refuse: status => {
            reject(Object.assign(new Error('not possible'), { status }));
            return settle();
          }
        });
      });
    const poller = { ...still(null), state: { report: report(), error: null }, acted: settle };
    settings = new ServerSettings(
      { settings: async () => served, patch },
      poller as unknown as Poller
    );
    settings.wanted = true;
    look = new Look({ getItem: () => null, setItem: () => undefined }, 'n');
    look.change({ folded: [] });
    await settle();
    node = document.createElement('div');
    node.className = 'jp-AutoShutdown';
    document.body.append(node);
    root = createRoot(node);
    draw();
    // As the host does it: some time after the change.
    look.changed.connect(() => void setTimeout(draw, 0));
    settings.changed.connect(() => void setTimeout(draw, 0));
  });

  afterEach(() => {
    node.remove();
    root.unmount();
  });

  /** Draw the panel, as with each answer of the server. */
  function draw(error: string | null = null): void {
    if (!node.isConnected) {
      return; // the test is over
    }
    const actions = {
      ...ACTIONS,
      look: (change: object) => look.change(change),
      change: (change: Change) => settings.patch(change)
    };
    flushSync(() =>
      root.render(
        <PanelView
          state={{ report: currentReport, error, remedy: '', status: 200, quiet: false }}
          now={NOW}
          settings={settings}
          look={look}
          announces={false}
          removals={[]}
          returns={{ offer: null, of: () => null, isStarting: () => false }}
          trans={nullTranslator.load('')}
          actions={actions}
        />
      )
    );
  }

  const field = (selector: string): HTMLInputElement => {
    const input = node.querySelector<HTMLInputElement>(selector);
    if (input === null) {
      throw new Error(`no ${selector}`);
    }
    return input;
  };
  const setting = (name: string): HTMLInputElement => field(`[data-setting="${name}"] input`);

  /** One key after the other, and no drawing of the host between them. */
  function type(input: HTMLInputElement, text: string): void {
    for (const key of text) {
      setText(input, input.value + key);
    }
  }
  /** As a key does: React must see a value that it has not set itself. */
  function setText(input: HTMLInputElement, text: string): void {
    const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value') ?? {};
    set?.call(input, text);
    input.dispatchEvent(new Event('input', { bubbles: true }));
  }
  /** Between two events of a browser React draws, and the host does not. */
  const nextEvent = (): Promise<void> => Promise.resolve();
  async function press(input: HTMLInputElement, key: string): Promise<void> {
    input.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    await nextEvent();
  }
  async function click(target: HTMLElement): Promise<void> {
    target.focus();
    target.click();
    await nextEvent();
  }
  function clear(input: HTMLInputElement): void {
    input.focus();
    setText(input, '');
  }
  /** Replace the text of a field and press Enter. */
  async function enter(input: HTMLInputElement, text: string): Promise<void> {
    clear(input);
    type(input, text);
    await press(input, 'Enter');
  }
  const sent = (): Change[] => patches.map(({ change }) => change);

  it('keeps each typed letter of the filter, and gets the focus with the click', async () => {
    await click(field('button[aria-label="Filter and sort"]'));
    const filter = field('.jp-AS-filter input');
    expect(document.activeElement).toBe(filter);
    type(filter, 'train');
    expect([filter.value, look.value.filter]).toEqual(['train', 'train']);
    await settle();
    type(filter, '.ipynb');
    await settle();
    expect([filter.value, look.value.filter]).toEqual(['train.ipynb', 'train.ipynb']);
    await press(filter, 'Escape');
    expect([look.value.filter, node.querySelector('.jp-AS-filter')]).toEqual(['', null]);
    expect(document.activeElement?.getAttribute('aria-label')).toBe('Filter and sort');
  });

  it('sends both of two clicks on a switch, in their order', async () => {
    const box = setting('dry_run');
    await click(box);
    expect(box.checked).toBe(true);
    await click(box);
    expect(box.checked).toBe(false);
    await settle();
    await patches[0].accept();
    expect(box.checked).toBe(false);
    await patches[1].accept();
    await settle();
    expect(sent()).toEqual([{ dry_run: true }, { dry_run: false }]);
    expect(box.checked).toBe(false);
  });

  it('shows the value in force again after the server rejected a change', async () => {
    const box = setting('dry_run');
    await click(box);
    await settle();
    await patches[0].refuse(400);
    expect(box.checked).toBe(false);
    expect(node.textContent).toContain('not possible');
  });

  it('keeps the typed letters of a limit while reports arrive, and sends the limit once', async () => {
    const limit = setting('idle_timeout_minutes');
    clear(limit);
    type(limit, '1 h');
    draw();
    type(limit, ' 30 m');
    expect(limit.value).toBe('1 h 30 m');
    await press(limit, 'Enter');
    limit.blur();
    await settle();
    expect(sent()).toEqual([{ idle_timeout_minutes: 90 }]);
    expect(limit.value).toBe('1 h 30 m');
    await patches[0].accept();
    await settle();
    expect([limit.value, sent().length]).toEqual(['1 h 30 m', 1]);
  });

  it('sends a second limit before the server has answered the first', async () => {
    const limit = setting('idle_timeout_minutes');
    await enter(limit, '3 h');
    await enter(limit, '2 h');
    await settle();
    await patches[0].accept();
    await patches[1].accept();
    await settle();
    expect(sent()).toEqual([{ idle_timeout_minutes: 180 }, { idle_timeout_minutes: 120 }]);
    expect(limit.value).toBe('2 h');
  });

  it('sends the change again when the server answers again', async () => {
    const box = setting('dry_run');
    await click(box);
    await settle();
    await patches[0].refuse();
    expect(node.textContent).toContain('It is tried again.');
    expect(box.checked).toBe(true);
    draw();
    await settle();
    await patches[1].accept();
    await settle();
    expect(sent()).toEqual([{ dry_run: true }, { dry_run: true }]);
    expect(box.checked).toBe(true);
    expect(node.textContent).toContain('Saved');
  });

  it('gets the focus when its button "Back to the default" disappears', async () => {
    served = { ...served, user: { dry_run: true } };
    await enter(setting('idle_timeout_minutes'), '3 h');
    await settle();
    await patches[0].accept();
    await settle();
    const back = field('[data-setting=dry_run] button');
    await click(back);
    expect(document.activeElement).toBe(setting('dry_run'));
  });
});
