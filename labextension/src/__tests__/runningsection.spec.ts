import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';

import type { Poller } from '../behaviour/poller';
import { runningSection } from '../behaviour/runningsection';
import type { IReport } from '../model/types';
import { APP, NOW, at, report, resource } from './given';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

const DUE = { warn_at: at(-1), due_at: at(4) };
const EVAL = resource({ id: 'k1', paths: ['a/eval.ipynb'], app: APP.id, ...DUE });
const OTHER = resource({ id: 'k2', paths: ['b/eval.ipynb'] });

function section(current: IReport | null, error: string | null = null) {
  const state = { report: current, error, remedy: '', status: 200, quiet: false };
  const poller = { state, now: NOW, changed: new Signal<Poller, void>({} as Poller) };
  const panel = { opener: vi.fn(() => vi.fn()), remove: vi.fn(), keepAll: vi.fn() };
  const refresh = vi.fn(async () => undefined);
  return {
    panel,
    refresh,
    section: runningSection({ ...poller, refresh }, panel, nullTranslator.load(''))
  };
}

describe('the section of the "Running" panel', () => {
  it('lists the resources that stop soon, each with its place and the time that is left', () => {
    const items = section(report(EVAL, OTHER)).section.running();
    expect(items.map(item => `${item.label()}: ${item.detail()}`)).toEqual(['a/ eval.ipynb: 4 m']);
  });

  it('opens and shuts down the resource of an item', () => {
    const { panel, section: runningItems } = section(report(EVAL, OTHER));
    const [item] = runningItems.running();
    item.open();
    expect(panel.opener).toHaveBeenCalledWith(EVAL);
    expect(panel.opener.mock.results[0].value).toHaveBeenCalledOnce();
    item.shutdown();
    expect(panel.remove).toHaveBeenCalledWith(EVAL);
  });

  it('keeps all resources with one button, and keeps the app instead of its kernels', () => {
    const { panel, section: runningItems } = section(report(EVAL, { ...APP, ...DUE }));
    runningItems.shutdownAll();
    expect(panel.keepAll).toHaveBeenCalledWith([{ ...APP, ...DUE }], 1);
  });

  it.each([
    ['no report yet', null, null],
    ['a server that does not answer', report(EVAL), 'Failed to fetch'],
    ['a dry run', { ...report(EVAL), policy: { ...report().policy, dry_run: true } }, null]
  ])('lists no resource with %s', (_, current, error) => {
    expect(section(current, error).section.running()).toEqual([]);
  });
});
