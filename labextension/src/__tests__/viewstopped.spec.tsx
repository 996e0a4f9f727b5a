import { describe, expect, it, vi } from 'vitest';

import type { IStoppedEntry } from '../model/types';
import type { IProps } from '../view/props';
import { drawn, text } from './drawn';
import { active, at, entry, outcome, report, resource } from './given';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

describe('what was stopped', () => {
  it('lists failures first, with their reason', () => {
    const found = report(active('busy'));
    found.outcomes = [
      outcome({ at: at(-3) }),
      outcome({ at: at(-2), kind: 'app', id: 'a', name: 'tensorflow', reason: 'idle' }),
      outcome({
        at: at(-4),
        kind: 'app',
        id: 'b',
        name: 'mxnet',
        outcome: 'permanent',
        detail: 'The role lacks sagemaker:DeleteApp.'
      }),
      outcome({ at: at(-1), id: 'moved', outcome: 'stale' })
    ];
    const html = drawn(found);
    const said = text(html);
    expect(said).toMatch(/train\.ipynb idle 1 h 57 m open/);
    expect(said).toContain('tensorflow nothing in it was in use');
    expect(said).toMatch(/mxnet could not be stopped The role lacks sagemaker:DeleteApp\./);
    expect(said.indexOf('mxnet')).toBeLessThan(said.indexOf('tensorflow'));
    expect(said).toContain('1 failed');
    expect(html.match(/data-outcome/g)).toHaveLength(3);
  });

  it('is told apart from a notebook of the same name that runs', () => {
    const found = report(resource({ id: 'new', paths: ['work/train.ipynb'] }));
    found.outcomes = [outcome({ id: 'old' })];
    const said = (): string => text(drawn(found)).split('Recently stopped')[1];
    expect(said()).toMatch(/train\.ipynb idle/);
    found.resources.push(resource({ id: 'other', paths: ['play/train.ipynb'] }));
    expect(said()).toMatch(/train\.ipynb work\/ idle/);
    expect(drawn(found)).toContain('aria-label="Open train.ipynb (work/)"');
  });

  it('stands under the name of its day, and shows a time of equal width', () => {
    const found = report(active('busy'));
    found.outcomes = [
      outcome({ id: 'a', at: at(-3) }),
      outcome({ id: 'b', at: at(-24 * 60) }),
      outcome({ id: 'c', at: at(-26.5 * 60) }),
      outcome({ id: 'd', at: at(-24 * 60 * 5) })
    ];
    const list = /data-section="stopped".*?<\/section>/.exec(drawn(found))?.[0] ?? '';
    const days = [...list.matchAll(/<li class="(jp-AS-day|jp-AS-removed)[^>]*>([^<]*)/g)];
    expect(days.map(([, kind, day]) => (kind === 'jp-AS-day' ? day : ''))).toEqual([
      '',
      'yesterday',
      '',
      '',
      expect.stringMatching(/19/),
      ''
    ]);
    const times = [...list.matchAll(/<time[^>]*>([^<]*)/g)].map(match => match[1]);
    expect(new Set(times.map(time => time.length)).size).toBe(1);
  });

  it('of an earlier day that failed comes first; today then has a name, too', () => {
    const found = report(active('busy'));
    found.outcomes = [
      outcome({ id: 'a', at: at(-3) }),
      outcome({ id: 'b', at: at(-24 * 60 + 1), outcome: 'permanent' })
    ];
    expect(text(drawn(found))).toMatch(/yesterday .*could not be stopped.* today .*train\.ipynb/);
  });
});

describe('what can be brought back', () => {
  const stopped = report();
  stopped.outcomes = [outcome({ id: 'k' })];
  const withEntry = (more: Partial<IStoppedEntry>, starting = false): IProps['returns'] => ({
    offer: null,
    of: () => entry(more),
    isStarting: () => starting
  });

  it.each([
    ['a stopped kernel', { cells: 3 }, false, 'Bring back train.ipynb', false],
    ['one that is being started', { cells: 3 }, true, 'Bring back train.ipynb', true]
  ])('%s has a button', (_, more, starting, label, disabled) => {
    const html = drawn(stopped, { returns: withEntry(more, starting) });
    const button = html.match(new RegExp(`<button[^>]*aria-label="${label}"[^>]*>`))?.[0] ?? '';
    expect(button).not.toBe('');
    expect(button.includes('disabled')).toBe(disabled);
  });

  it('offers the cells once a kernel of the notebook runs', () => {
    const running = report(resource({ id: 'new', paths: ['work/train.ipynb'] }));
    running.outcomes = stopped.outcomes;
    const html = drawn(running, { returns: withEntry({ cells: 3 }) });
    expect(html).toContain('aria-label="Run what had been run in train.ipynb');
    expect(html).not.toContain('aria-label="Bring back');
  });

  it('offers what ended with the server, in one sentence', () => {
    const entries = [entry({}), entry({ id: 'e2', kind: 'terminal', paths: [] })];
    const offer = { at: at(-60), entries };
    const html = drawn(report(), {
      returns: { offer, of: () => null, isStarting: () => false }
    });
    expect(text(html)).toMatch(/Stopped at .*: 1 notebook, 1 kernel, 1 terminal\./);
    expect(text(html)).toContain('Dismiss');
  });

  it('opens a notebook whose kernel cannot be brought back', () => {
    expect(drawn(stopped)).toContain('aria-label="Open train.ipynb');
  });
});
