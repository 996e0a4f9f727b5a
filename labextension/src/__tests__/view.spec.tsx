import * as React from 'react';

import { nullTranslator } from '@jupyterlab/translation';
import { renderToStaticMarkup } from 'react-dom/server';
import { beforeAll, describe, expect, it, vi } from 'vitest';

import { removals } from '../model/removals';
import type { IProgram, IReport, IResource, IStoppedEntry } from '../model/types';
import { h } from '../view/jsx';
import { PanelView, SETTINGS } from '../view/panelview';
import type { ILook, IProps } from '../view/props';
import { ACTIONS, APP, NOW, active, at, entry, outcome, report, resource, still } from './given';
import recorded from './reports/studio-classic.json';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

const LOOK: ILook = { folded: ['settings'], filtering: false, filter: '', order: 'place' };

beforeAll(() => SETTINGS.load());

/** The panel as HTML. */
function drawn(
  found: IReport | null,
  { look = LOOK, settings = null, ...more }: Partial<IProps> = {}
): string {
  return renderToStaticMarkup(
    <PanelView
      state={{ report: found, error: null, remedy: '', status: 200, quiet: false }}
      now={found === null ? NOW : Date.parse(found.now)}
      settings={still(settings)}
      look={still(look)}
      announces={false}
      removals={removals(found?.outcomes ?? [], [])}
      returns={{ offer: null, of: () => null, isStarting: () => false }}
      trans={nullTranslator.load('')}
      actions={ACTIONS}
      {...more}
    />
  );
}

/** The text of the page, without tags. */
function text(html: string): string {
  return html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
}

describe('the panel of a recorded report', () => {
  // Recorded from the local Studio by tests/ui (AUTO_SHUTDOWN_PICTURES=1).
  const found = recorded as unknown as IReport;
  const html = drawn(found);

  it('shows every resource that is there, with its reason', () => {
    const rows = [...html.matchAll(/data-kind="(\w+)" data-id="[^"]*" data-reason="([\w-]+)"/g)];
    const there = found.resources.filter(r => r.state !== 'Deleted');
    expect(rows.map(row => `${row[1]} ${row[2]}`).sort()).toEqual(
      there.map(r => `${r.kind} ${r.reason}`).sort()
    );
    expect(new Set(there.map(r => r.reason))).toEqual(
      new Set(['busy', 'recent-activity', 'kept-alive', 'running-job', 'in-use'])
    );
  });

  it('says it in words, and the code only on hover', () => {
    const said = text(html);
    expect(said).toContain('Watching');
    const types = new Set(found.resources.filter(r => r.billing).map(r => r.instance_type));
    expect(said).toContain(`${types.size} instances`);
    expect(said).toMatch(/train\.ipynb running \d+ \w/);
    expect(said).toMatch(/eval\.ipynb idle .+ \/ 2 h/);
    expect(said).toMatch(/kept\.ipynb kept until/);
    expect(said).toContain('terminal 1 running sleep');
    expect(said).toMatch(/pytorch-1-8 empty · idle/);
    const words = [...html.matchAll(/class="jp-AS-word"[^>]*>([^<]*)/g)].map(match => match[1]);
    const codes = new Set(found.resources.map(r => r.reason));
    expect(words.length).toBeGreaterThan(5);
    expect(words.filter(word => codes.has(word))).toEqual([]);
  });

  it('counts down nothing that is active', () => {
    const idle = found.resources.filter(r => r.idle_since !== null && r.due_at !== null);
    expect(html.match(/<progress/g)).toHaveLength(idle.length);
  });
});

describe('the panel', () => {
  it('teaches when there is nothing', () => {
    expect(text(drawn(report()))).toContain(
      'Nothing is running, and nothing is billed as far as this server can see.'
    );
  });

  it('asks at first, and says when nobody answers', () => {
    expect(text(drawn(null))).toContain('Asking the server');
    const gone = { report: null, error: 'Failed to fetch', remedy: '', status: 0, quiet: false };
    const html = drawn(null, { state: gone });
    expect(text(html)).toContain('The server does not answer.');
    expect(html).toContain('data-health="failing"');
  });

  it('shows what is wrong and what to do, and reads it out', () => {
    const bad = report();
    bad.health.state = 'failing';
    bad.health.faults = [
      {
        source: 'apps',
        code: 'AccessDenied',
        message: 'Cannot delete apps: the role lacks sagemaker:DeleteApp.',
        remedy: 'Nothing is removed until it has it.',
        since: at(-5)
      }
    ];
    const html = drawn(bad);
    expect(text(html)).toContain('lacks sagemaker:DeleteApp. Nothing is removed until it has it.');
    expect(html).toMatch(/role="status"[^>]*>Something that should be stopped cannot be stopped/);
  });

  it('gives a clock time, and the button to keep it, only within the warning', () => {
    const kernel = resource({ paths: ['eval.ipynb'] });
    expect(text(drawn(report(kernel)))).not.toContain('Stops at');
    const due = report({ ...kernel, warn_at: at(-1), due_at: at(4) });
    expect(text(drawn(due))).toMatch(/Stops at .+, in 4 m/);
    expect(drawn(due)).toContain('aria-label="Keep eval.ipynb for 1 h"');
    expect(text(drawn(due, { announces: true }))).toMatch(
      /eval\.ipynb stops at .+: idle 1 h \/ 2 h/
    );
    due.policy.dry_run = true;
    expect(text(drawn(due, { announces: true }))).not.toMatch(/[Ss]tops at/);
  });

  it.each([
    ['dry run', (found: IReport) => void (found.policy.dry_run = true)],
    ['switched off', (found: IReport) => void (found.policy.enabled = false)],
    ['not armed', (found: IReport) => void (found.health.armed = false)]
  ])('announces no stop and offers no Keep for one: %s', (_, change) => {
    const found = report({ ...APP, warn_at: at(-1), due_at: at(4) });
    change(found);
    const html = drawn(found, { announces: true });
    expect(html).not.toMatch(/\b[Ss]tops (at|in|when)/);
    expect(html).not.toContain('Keep pytorch-1-8 for 1 h');
  });

  it('tells two notebooks of one name apart, in texts and in accessible names', () => {
    const due = { warn_at: at(-1), due_at: at(4) };
    const one = resource({ id: '1', paths: ['a/eval.ipynb'], ...due });
    const html = drawn(report(one, resource({ id: '2', paths: ['b/eval.ipynb'] })));
    expect(text(html)).toMatch(/eval\.ipynb a\/ .+ eval\.ipynb b\//);
    for (const name of ['Open eval.ipynb (b/)', 'Keep eval.ipynb (a/) for 1 h']) {
      expect(html).toContain(`aria-label="${name}"`);
    }
  });

  it('leaves out instances, administrators and money on a plain host', () => {
    const found = report(resource({ paths: ['a.ipynb'] }));
    found.platform.kind = 'local';
    const { locked, limits, ...settings } = found.policy;
    const html = drawn(found, {
      settings: { settings, user: {}, defaults: settings, limits, locked },
      look: { ...LOOK, folded: [] }
    });
    expect(text(html)).not.toMatch(/administrator|instance|\bapps?\b|\$|Saved this/i);
  });

  it('shows prices, their sum, and that one is unknown', () => {
    expect(text(drawn(report(APP)))).toMatch(/1 instance · \$1\.41\/h/);
    const odd = { ...APP, id: 'KernelGateway/b', instance_type: 'ml.odd' };
    const both = text(drawn(report(APP, odd)));
    expect(both).toMatch(/2 instances · at least \$1\.41\/h/);
    expect(both).toContain('ml.odd price unknown');
    expect(text(drawn(report(odd)))).not.toContain('$0');
  });

  it('shows what this month saved, by day, and what has no price', () => {
    const found = report(APP);
    const day = (name: string, hours: number, usd: number, unpriced: number): object => ({
      day: name,
      instance_hours: hours,
      usd,
      unpriced_hours: unpriced
    });
    found.savings.days = [
      day('2026-10-31', 24, 99, 0),
      day('2026-11-02', 12, 16.92, 0),
      day('2026-11-24', 30, 0, 30)
    ] as IReport['savings']['days'];
    const html = drawn(found);
    expect(text(html)).toMatch(/Saved this month 42 h · \$16\.92/);
    expect(text(html)).toContain('The price of 30 h of them is not known');
    expect(html.match(/<rect/g)).toHaveLength(24);
  });

  it('filters and sorts', () => {
    const found = report(
      APP,
      resource({ id: '1', paths: ['b.ipynb'], app: APP.id }),
      resource({ id: '2', paths: ['a.ipynb'], app: APP.id, due_at: at(5) })
    );
    const shown = (look: Partial<ILook>): string[] =>
      [...drawn(found, { look: { ...LOOK, ...look } }).matchAll(/data-id="([^"]+)"/g)].map(
        match => match[1]
      );
    expect(shown({})).toEqual([APP.id, '1', '2']);
    expect(shown({ filter: 'A.IPY' })).toEqual([APP.id, '2']);
    expect(shown({ filter: 'pytorch' })).toEqual([APP.id, '1', '2']);
    expect(shown({ order: 'name' }).slice(1)).toEqual(['2', '1']);
    expect(text(drawn(found, { look: { ...LOOK, filter: 'zzz' } }))).toContain('Nothing matches');
  });

  it('offers to filter from ten rows on', () => {
    const rows = (count: number): IResource[] =>
      Array.from({ length: count }, (_, n) => resource({ id: String(n) }));
    expect(drawn(report(...rows(9)))).not.toContain('Filter and sort');
    expect(drawn(report(...rows(10)))).toContain('Filter and sort');
  });

  it('folds instances, apps and sections', () => {
    const found = report(APP, resource({ id: '1', paths: ['b.ipynb'], app: APP.id }));
    const shown = (...folded: string[]): number =>
      (drawn(found, { look: { ...LOOK, folded } }).match(/data-id=/g) ?? []).length;
    expect(shown()).toBe(2);
    expect(shown(`app ${APP.id}`)).toBe(1);
    expect(shown('instance ml.g5.xlarge')).toBe(0);
    expect(shown('billed')).toBe(0);
  });

  it('says that everything is kept, and lets it be released', () => {
    const found = report(resource({ app: APP.id, kept_until: at(60) }), APP);
    found.keep_alive = [{ kind: 'all', id: 'all', kept_until: at(60) }];
    expect(text(drawn(found))).toMatch(/Everything is kept until/);
    expect(drawn(found).match(/>Release</g)).toHaveLength(1);
  });

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

  it('shows who decided, and the way back to the default', () => {
    const found = report();
    const { locked, limits, ...settings } = found.policy;
    found.policy.sources = { dry_run: 'jupyter_server_config.d/admin.json' };
    const answer = {
      settings: { ...settings, idle_timeout_minutes: 90 },
      user: { idle_timeout_minutes: 90 },
      defaults: settings,
      limits,
      locked: [...locked, 'dry_run' as const]
    };
    const html = drawn(found, { settings: answer, look: { ...LOOK, folded: [] } });
    expect(text(html)).toContain('Notebooks and terminals idle for 1 hour 30 minutes are stopped.');
    expect(text(html)).toContain('Set by your administrator. (jupyter_server_config.d/admin.json)');
    expect(html.match(/Back to the default \(2 h\)/g)).toHaveLength(1);
    const labelled = [...html.matchAll(/<input id="([^"]+)"/g)].map(match => match[1]);
    expect(labelled.length).toBeGreaterThan(8);
    labelled.forEach(id => expect(html).toContain(`for="${id}"`));
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

describe('the note of a keep-alive', () => {
  it('is shown with the keep-alive on everything', () => {
    const kept = report();
    kept.keep_alive = [
      { kind: 'all', id: 'all', kept_until: at(60), note: 'waits for the review' }
    ];
    expect(text(drawn(kept))).toContain('waits for the review');
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
    const found = { ...report(), programs: [{ ...program, ...more }] };
    return text(/<li[^>]*data-program.*?<\/li>/.exec(drawn(found))?.[0] ?? '').trim();
  };

  it('are listed with a name and a state, and no button', () => {
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

  it('take no room where there are none, as in the report of an older server', () => {
    expect(drawn(report())).not.toContain('data-section="programs"');
  });
});
