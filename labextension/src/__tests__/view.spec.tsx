import { beforeAll, describe, expect, it, vi } from 'vitest';

import type { IReport } from '../model/types';
import { SETTINGS } from '../view/panelview';
import { LOOK, drawn, text } from './drawn';
import { APP, at, report, resource } from './given';
import recorded from './reports/studio-classic.json';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

beforeAll(() => SETTINGS.load());

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

  it('says that everything is kept, and lets it be released', () => {
    const found = report(resource({ app: APP.id, kept_until: at(60) }), APP);
    found.keep_alive = [{ kind: 'all', id: 'all', kept_until: at(60) }];
    expect(text(drawn(found))).toMatch(/Everything is kept until/);
    expect(drawn(found).match(/>Release</g)).toHaveLength(1);
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

describe('the note of a keep-alive', () => {
  it('is shown with the keep-alive on everything', () => {
    const kept = report();
    kept.keep_alive = [
      { kind: 'all', id: 'all', kept_until: at(60), note: 'waits for the review' }
    ];
    expect(text(drawn(kept))).toContain('waits for the review');
  });
});
