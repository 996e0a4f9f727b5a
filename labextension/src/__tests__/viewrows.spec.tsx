import { describe, expect, it, vi } from 'vitest';

import type { IProgram, IReport, IResource } from '../model/types';
import type { ILook } from '../view/props';
import { LOOK, drawn, text } from './drawn';
import { APP, at, report, resource } from './given';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

describe('the rows of the panel', () => {
  it('show each price, the sum, and that a price is unknown', () => {
    expect(text(drawn(report(APP)))).toMatch(/1 instance · \$1\.41\/h/);
    const odd = { ...APP, id: 'KernelGateway/b', instance_type: 'ml.odd' };
    const both = text(drawn(report(APP, odd)));
    expect(both).toMatch(/2 instances · at least \$1\.41\/h/);
    expect(both).toContain('ml.odd price unknown');
    expect(text(drawn(report(odd)))).not.toContain('$0');
  });

  it('show the savings of this month by day, and the hours without a known price', () => {
    const currentReport = report(APP);
    const day = (name: string, hours: number, usd: number, unpriced: number): object => ({
      day: name,
      instance_hours: hours,
      usd,
      unpriced_hours: unpriced
    });
    currentReport.savings.days = [
      day('2026-10-31', 24, 99, 0),
      day('2026-11-02', 12, 16.92, 0),
      day('2026-11-24', 30, 0, 30)
    ] as IReport['savings']['days'];
    const html = drawn(currentReport);
    expect(text(html)).toMatch(/Saved this month 42 h · \$16\.92/);
    expect(text(html)).toContain('The price of 30 h of them is not known');
    expect(html.match(/<rect/g)).toHaveLength(24);
  });

  it('follow the filter and the order', () => {
    const currentReport = report(
      APP,
      resource({ id: '1', paths: ['b.ipynb'], app: APP.id }),
      resource({ id: '2', paths: ['a.ipynb'], app: APP.id, due_at: at(5) })
    );
    const shown = (look: Partial<ILook>): string[] =>
      [...drawn(currentReport, { look: { ...LOOK, ...look } }).matchAll(/data-id="([^"]+)"/g)].map(
        match => match[1]
      );
    expect(shown({})).toEqual([APP.id, '1', '2']);
    expect(shown({ filter: 'A.IPY' })).toEqual([APP.id, '2']);
    expect(shown({ filter: 'pytorch' })).toEqual([APP.id, '1', '2']);
    expect(shown({ order: 'name' }).slice(1)).toEqual(['2', '1']);
    expect(text(drawn(currentReport, { look: { ...LOOK, filter: 'zzz' } }))).toContain(
      'Nothing matches'
    );
  });

  it('have a filter if there are ten or more', () => {
    const rows = (count: number): IResource[] =>
      Array.from({ length: count }, (_, n) => resource({ id: String(n) }));
    expect(drawn(report(...rows(9)))).not.toContain('Filter and sort');
    expect(drawn(report(...rows(10)))).toContain('Filter and sort');
  });

  it('fold with their instance, app or section', () => {
    const currentReport = report(APP, resource({ id: '1', paths: ['b.ipynb'], app: APP.id }));
    const shown = (...folded: string[]): number =>
      (drawn(currentReport, { look: { ...LOOK, folded } }).match(/data-id=/g) ?? []).length;
    expect(shown()).toBe(2);
    expect(shown(`app ${APP.id}`)).toBe(1);
    expect(shown('instance ml.g5.xlarge')).toBe(0);
    expect(shown('billed')).toBe(0);
  });
});

describe('programs beside the kernels and terminals', () => {
  const program = {
    kind: 'kernel' as const,
    id: 'k9',
    name: 'python3',
    started_by: 'papermill',
    reason: 'background-work',
    detail: 'It runs a cell.'
  };
  const row = (more: Partial<IProgram>): string => {
    const currentReport = { ...report(), programs: [{ ...program, ...more }] };
    return text(/<li[^>]*data-program.*?<\/li>/.exec(drawn(currentReport))?.[0] ?? '').trim();
  };

  it('have a name and a state, and no button', () => {
    expect(row({})).toBe('kernel of papermill running a cell');
    expect(row({ started_by: '', reason: 'idle' })).toBe('kernel of another program runs no cell');
    const pane = { kind: 'terminal' as const, id: 'pts/3', name: 'less' };
    expect(row(pane)).toBe('less in pts/3 working in the background');
    expect(row({ ...pane, reason: 'suspect-busy' })).toBe(
      'less in pts/3 busy without a sign of work'
    );
    expect(row({ ...pane, reason: 'max-busy' })).toBe('less in pts/3 no longer keeps the app');
    expect(row({ reason: 'unknown' })).toBe('kernel of papermill activity not known');
    const list = /data-section="programs".*?<\/section>/.exec(
      drawn({ ...report(), programs: [program] })
    );
    expect(list?.[0].match(/<button/g)).toHaveLength(1); // it folds the section
  });

  it('have no section if the report has none, as from an older server', () => {
    expect(drawn(report())).not.toContain('data-section="programs"');
  });
});
