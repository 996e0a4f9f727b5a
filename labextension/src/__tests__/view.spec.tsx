import * as React from 'react';

import { nullTranslator } from '@jupyterlab/translation';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';

import { removals } from '../model/report';
import type { IReport } from '../model/types';
import { View } from '../view/panelview';
import type { IActions, IProps } from '../view/props';
import { APP, NOW, at, outcome, report, resource } from './given';
import recorded from './reports/studio-classic.json';

const nothing = (): void => undefined;
const ACTIONS: IActions = {
  keep: nothing,
  keepAll: nothing,
  remove: nothing,
  check: nothing,
  change: async () => undefined,
  openSettings: nothing,
  preferences: null,
  visit: nothing
};

/** The panel as HTML. */
function drawn(found: IReport | null, more: Partial<IProps> = {}): string {
  return renderToStaticMarkup(
    <View
      state={{ report: found, error: null, status: 200, quiet: false }}
      now={found === null ? NOW : Date.parse(found.now)}
      choices={null}
      settingsOpen={false}
      announces={false}
      removals={removals(found?.outcomes ?? [], [])}
      trans={nullTranslator.load('')}
      actions={ACTIONS}
      {...more}
    />
  );
}

/** What stands there, without tags. */
function text(html: string): string {
  return html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
}

describe('the panel of a recorded report', () => {
  // Recorded from the local Studio by tests/ui (AUTO_SHUTDOWN_PICTURES=1).
  const found = recorded as unknown as IReport;
  const html = drawn(found);

  it('shows every resource that is there, with its reason', () => {
    const rows = [...html.matchAll(/data-kind="(\w+)" data-reason="([\w-]+)"/g)];
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
    expect(said).toContain('Watching.');
    const types = new Set(found.resources.filter(r => r.billing).map(r => r.instance_type));
    expect(said).toContain(`${types.size} instances`);
    expect(said).toMatch(/train\.ipynb running a cell, \d+ \w/);
    expect(said).toMatch(/eval\.ipynb idle .+ of 2 h/);
    expect(said).toMatch(/kept\.ipynb kept until/);
    expect(said).toContain('terminal 1 running sleep');
    expect(said).toMatch(/pytorch-1-8 empty · idle/);
    expect(said).toContain('train.ipynb has to end its cell');
    const words = [...html.matchAll(/jp-AutoShutdown-word">([^<]*)/g)].map(match => match[1]);
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
    expect(text(drawn(report()))).toContain('Nothing is running. Nothing is billed here.');
  });

  it('asks at first, and says when nobody answers', () => {
    expect(text(drawn(null))).toContain('Asking the server');
    const gone = { report: null, error: 'Failed to fetch', status: 0, quiet: false };
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
    expect(html).toMatch(/role="status"[^>]*>Something that should be removed cannot be/);
  });

  it('gives a clock time, and the button to keep it, only within the warning', () => {
    const kernel = resource({ paths: ['eval.ipynb'] });
    expect(text(drawn(report(kernel)))).not.toContain('Stops at');
    const due = report({ ...kernel, warn_at: at(-1), due_at: at(4) });
    expect(text(drawn(due))).toMatch(/Stops at .+, in 4 m/);
    expect(drawn(due)).toContain('aria-label="Keep eval.ipynb for 1 h"');
    expect(text(drawn(due, { announces: true }))).toMatch(
      /eval\.ipynb stops at .+: idle 1 h of 2 h/
    );
    due.policy.dry_run = true;
    expect(text(drawn(due, { announces: true }))).not.toMatch(/[Ss]tops at/);
  });

  it('says who keeps it, and lets only that be released', () => {
    const kernel = resource({ app: APP.id, kept_until: at(60) });
    const found = report(kernel, APP);
    found.keep_alive = [{ kind: 'app', id: APP.id, kept_until: at(60) }];
    expect(text(drawn(found))).toMatch(/Kept until .+, with its app\./);
    found.keep_alive = [{ kind: 'all', id: 'all', kept_until: at(60) }];
    expect(text(drawn(found))).toMatch(/Everything is kept until/);
    expect(text(drawn(found))).toMatch(/Kept until .+, as everything is\./);
    expect(drawn(found).match(/>Release</g)).toHaveLength(1);
  });

  it('offers no button for what is not ours to stop', () => {
    const foreign = { ...APP, reason: 'not-covered', idle_since: null, due_at: null };
    expect(text(drawn(report(foreign)))).not.toContain('Shut down now');
  });

  it('tells what was stopped, why, and what could not be', () => {
    const found = report();
    found.outcomes = [
      outcome({ at: at(-3) }),
      outcome({ at: at(-2), kind: 'app', id: 'a', name: 'tensorflow', reason: 'idle' }),
      outcome({ at: at(-1), kind: 'app', id: 'b', name: 'mxnet', outcome: 'permanent' }),
      outcome({ at: at(-1), id: 'moved', outcome: 'stale' })
    ];
    const said = text(drawn(found));
    expect(said).toMatch(/train\.ipynb idle 1 h 57 m open/);
    expect(said).toContain('tensorflow nothing active left on it');
    expect(said).toContain('mxnet could not be stopped');
    expect(drawn(found).match(/data-outcome/g)).toHaveLength(3);
  });

  it('shows who decided, and the way back to the default', () => {
    const found = report();
    const { locked, limits, ...settings } = found.policy;
    found.policy.sources = { dry_run: 'jupyter_server_config.d/admin.json' };
    const choices = {
      settings: { ...settings, idle_timeout_minutes: 90 },
      user: { idle_timeout_minutes: 90 },
      defaults: settings,
      limits,
      locked: [...locked, 'dry_run' as const]
    };
    const html = drawn(found, { choices, settingsOpen: true });
    expect(text(html)).toContain('Notebooks and terminals idle for 1 hour 30 minutes are stopped.');
    expect(text(html)).toContain('Set by your administrator (jupyter_server_config.d/admin.json).');
    expect(html.match(/Back to the default \(2 h\)/g)).toHaveLength(1);
    const labelled = [...html.matchAll(/<input id="([^"]+)"/g)].map(match => match[1]);
    expect(labelled.length).toBeGreaterThan(8);
    labelled.forEach(id => expect(html).toContain(`for="${id}"`));
  });
});
