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
  const currentReport = recorded as unknown as IReport;
  const html = drawn(currentReport);

  it('shows every resource that is not deleted, with its reason', () => {
    const rows = [...html.matchAll(/data-kind="(\w+)" data-id="[^"]*" data-reason="([\w-]+)"/g)];
    const there = currentReport.resources.filter(r => r.state !== 'Deleted');
    expect(rows.map(row => `${row[1]} ${row[2]}`).sort()).toEqual(
      there.map(r => `${r.kind} ${r.reason}`).sort()
    );
    expect(new Set(there.map(r => r.reason))).toEqual(
      new Set(['busy', 'recent-activity', 'kept-alive', 'running-job', 'in-use'])
    );
  });

  it('describes each reason in panelText, and shows its code only on hover', () => {
    const panelText = text(html);
    expect(panelText).toContain('Watching');
    const types = new Set(currentReport.resources.filter(r => r.billing).map(r => r.instance_type));
    expect(panelText).toContain(`${types.size} instances`);
    expect(panelText).toMatch(/train\.ipynb running \d+ \w/);
    expect(panelText).toMatch(/eval\.ipynb idle .+ \/ 2 h/);
    expect(panelText).toMatch(/kept\.ipynb kept until/);
    expect(panelText).toContain('terminal 1 running sleep');
    expect(panelText).toMatch(/pytorch-1-8 empty · idle/);
    const words = [...html.matchAll(/class="jp-AS-word"[^>]*>([^<]*)/g)].map(match => match[1]);
    const codes = new Set(currentReport.resources.map(r => r.reason));
    expect(words.length).toBeGreaterThan(5);
    expect(words.filter(word => codes.has(word))).toEqual([]);
  });

  it('shows a progress bar only for idle resources', () => {
    const idle = currentReport.resources.filter(r => r.idle_since !== null && r.due_at !== null);
    expect(html.match(/<progress/g)).toHaveLength(idle.length);
  });
});

describe('the panel', () => {
  it('explains an empty list', () => {
    expect(text(drawn(report()))).toContain(
      'Nothing is running, and nothing is billed as far as this server can see.'
    );
  });

  it('says at first that it asks the server, and later that the server does not answer', () => {
    expect(text(drawn(null))).toContain('Asking the server');
    const gone = { report: null, error: 'Failed to fetch', remedy: '', status: 0, quiet: false };
    const html = drawn(null, { state: gone });
    expect(text(html)).toContain('The server does not answer.');
    expect(html).toContain('data-health="failing"');
  });

  it('shows a fault with its remedy, and announces it to screen readers', () => {
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

  it('shows the time of the stop and the Keep button only during the warning', () => {
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
    ['dry run', (currentReport: IReport) => void (currentReport.policy.dry_run = true)],
    ['switched off', (currentReport: IReport) => void (currentReport.policy.enabled = false)],
    ['not armed', (currentReport: IReport) => void (currentReport.health.armed = false)]
  ])('announces no stop and offers no Keep button: %s', (_, change) => {
    const currentReport = report({ ...APP, warn_at: at(-1), due_at: at(4) });
    change(currentReport);
    const html = drawn(currentReport, { announces: true });
    expect(html).not.toMatch(/\b[Ss]tops (at|in|when)/);
    expect(html).not.toContain('Keep pytorch-1-8 for 1 h');
  });

  it('distinguishes two notebooks of one name, in texts and in accessible names', () => {
    const due = { warn_at: at(-1), due_at: at(4) };
    const one = resource({ id: '1', paths: ['a/eval.ipynb'], ...due });
    const html = drawn(report(one, resource({ id: '2', paths: ['b/eval.ipynb'] })));
    expect(text(html)).toMatch(/eval\.ipynb a\/ .+ eval\.ipynb b\//);
    for (const name of ['Open eval.ipynb (b/)', 'Keep eval.ipynb (a/) for 1 h']) {
      expect(html).toContain(`aria-label="${name}"`);
    }
  });

  it('shows the keep-alive on everything with one Release button', () => {
    const currentReport = report(resource({ app: APP.id, kept_until: at(60) }), APP);
    currentReport.keep_alive = [{ kind: 'all', id: 'all', kept_until: at(60) }];
    expect(text(drawn(currentReport))).toMatch(/Everything is kept until/);
    expect(drawn(currentReport).match(/>Release</g)).toHaveLength(1);
  });

  it('shows who set a value, and offers the default', () => {
    const currentReport = report();
    const { locked, limits, ...settings } = currentReport.policy;
    currentReport.policy.sources = { dry_run: 'jupyter_server_config.d/admin.json' };
    const answer = {
      settings: { ...settings, idle_timeout_minutes: 90 },
      user: { idle_timeout_minutes: 90 },
      defaults: settings,
      limits,
      locked: [...locked, 'dry_run' as const]
    };
    const html = drawn(currentReport, { settings: answer, look: { ...LOOK, folded: [] } });
    expect(text(html)).toContain('Notebooks and terminals idle for 1 hour 30 minutes are stopped.');
    expect(text(html)).toContain('Set by your administrator. (jupyter_server_config.d/admin.json)');
    expect(html.match(/Back to the default \(2 h\)/g)).toHaveLength(1);
    const labelled = [...html.matchAll(/<input id="([^"]+)"/g)].map(match => match[1]);
    expect(labelled.length).toBeGreaterThan(8);
    labelled.forEach(id => expect(html).toContain(`for="${id}"`));
  });
});

describe('the note of a keep-alive', () => {
  it('appears beside the keep-alive on everything', () => {
    const kept = report();
    kept.keep_alive = [
      { kind: 'all', id: 'all', kept_until: at(60), note: 'waits for the review' }
    ];
    expect(text(drawn(kept))).toContain('waits for the review');
  });
});
