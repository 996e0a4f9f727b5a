import { describe, expect, it, vi } from 'vitest';

import type { IStoppedEntry } from '../model/types';
import type { IProps } from '../view/props';
import { drawn, text } from './drawn';
import { active, at, entry, outcome, report, resource } from './given';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

describe('the list of stopped resources', () => {
  it('shows failures first, with their reason', () => {
    const currentReport = report(active('busy'));
    currentReport.outcomes = [
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
    const html = drawn(currentReport);
    const listText = text(html);
    expect(listText).toMatch(/train\.ipynb idle 1 h 57 m open/);
    expect(listText).toContain('tensorflow nothing in it was in use');
    expect(listText).toMatch(/mxnet could not be stopped The role lacks sagemaker:DeleteApp\./);
    expect(listText.indexOf('mxnet')).toBeLessThan(listText.indexOf('tensorflow'));
    expect(listText).toContain('1 failed');
    expect(html.match(/data-outcome/g)).toHaveLength(3);
  });

  it('distinguishes a stopped notebook from a running notebook of the same name', () => {
    const currentReport = report(resource({ id: 'new', paths: ['work/train.ipynb'] }));
    currentReport.outcomes = [outcome({ id: 'old' })];
    const listText = (): string => text(drawn(currentReport)).split('Recently stopped')[1];
    expect(listText()).toMatch(/train\.ipynb idle/);
    currentReport.resources.push(resource({ id: 'other', paths: ['play/train.ipynb'] }));
    expect(listText()).toMatch(/train\.ipynb work\/ idle/);
    expect(drawn(currentReport)).toContain('aria-label="Open train.ipynb (work/)"');
  });

  it('groups the resources by day, and shows times of equal width', () => {
    const currentReport = report(active('busy'));
    currentReport.outcomes = [
      outcome({ id: 'a', at: at(-3) }),
      outcome({ id: 'b', at: at(-24 * 60) }),
      outcome({ id: 'c', at: at(-26.5 * 60) }),
      outcome({ id: 'd', at: at(-24 * 60 * 5) })
    ];
    const list = /data-section="stopped".*?<\/section>/.exec(drawn(currentReport))?.[0] ?? '';
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

  it('shows a failure of an earlier day first, and then names today as well', () => {
    const currentReport = report(active('busy'));
    currentReport.outcomes = [
      outcome({ id: 'a', at: at(-3) }),
      outcome({ id: 'b', at: at(-24 * 60 + 1), outcome: 'permanent' })
    ];
    expect(text(drawn(currentReport))).toMatch(
      /yesterday .*could not be stopped.* today .*train\.ipynb/
    );
  });
});

describe('the panel, for kernels that can be brought back,', () => {
  const stopped = report();
  stopped.outcomes = [outcome({ id: 'k' })];
  const withEntry = (more: Partial<IStoppedEntry>, starting = false): IProps['returns'] => ({
    offer: null,
    of: () => entry(more),
    isStarting: () => starting
  });

  it.each([
    ['a stopped kernel', { cells: 3 }, false, 'Bring back train.ipynb', false],
    ['a kernel that is being started', { cells: 3 }, true, 'Bring back train.ipynb', true]
  ])('shows a button for %s', (_, more, starting, label, disabled) => {
    const html = drawn(stopped, { returns: withEntry(more, starting) });
    const button = html.match(new RegExp(`<button[^>]*aria-label="${label}"[^>]*>`))?.[0] ?? '';
    expect(button).not.toBe('');
    expect(button.includes('disabled')).toBe(disabled);
  });

  it('offers to run the cells if a kernel of the notebook runs', () => {
    const running = report(resource({ id: 'new', paths: ['work/train.ipynb'] }));
    running.outcomes = stopped.outcomes;
    const html = drawn(running, { returns: withEntry({ cells: 3 }) });
    expect(html).toContain('aria-label="Run what had been run in train.ipynb');
    expect(html).not.toContain('aria-label="Bring back');
  });

  it('offers in one sentence all that ended with the server', () => {
    const entries = [entry({}), entry({ id: 'e2', kind: 'terminal', paths: [] })];
    const offer = { at: at(-60), entries };
    const html = drawn(report(), {
      returns: { offer, of: () => null, isStarting: () => false }
    });
    expect(text(html)).toMatch(/Stopped at .*: 1 notebook, 1 kernel, 1 terminal\./);
    expect(text(html)).toContain('Dismiss');
  });

  it('offers to open a notebook whose kernel cannot be brought back', () => {
    expect(drawn(stopped)).toContain('aria-label="Open train.ipynb');
  });
});
