import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { fullName, keyOf, nameAmong, namesOf, title } from '../model/names';
import { settingsSummary } from '../model/settingssummary';
import { stopped } from '../model/stoppedtext';
import { explain } from '../model/sentences';
import type { IResource } from '../model/types';
import { announcement, countdown, doing, health } from '../model/phrases';
import recorded from './reports/sentences.json';
import { APP, MINUTE, NOW, active, at, context, outcome, report, resource, state } from './given';

const trans = nullTranslator.load('');

describe('health()', () => {
  it('says "Watching", or that a dry run stops nothing', () => {
    expect(health(state(report()), trans)).toBe('Watching');
    const dry = report();
    dry.policy.dry_run = true;
    expect(health(state(dry), trans)).toMatch(/^Dry run: nothing is stopped/);
  });

  it.each([
    ['disabled', 'Switched off'],
    ['failing', 'Something that should be stopped cannot be stopped'],
    ['degraded', 'does not work']
  ] as const)('describes the state %s in words', (name, words) => {
    const currentReport = report();
    currentReport.health.state = name;
    expect(health(state(currentReport), trans)).toContain(words);
  });

  it.each([
    [0, false, 'does not answer'],
    [0, true, 'stopped asking'],
    [403, false, 'logged in'],
    [404, false, 'does not run here'],
    [503, false, 'Bad trait. Mend it.']
  ])('tells the user what to do after the HTTP status %d', (status, quiet, words) => {
    const error = status === 503 ? 'Bad trait.' : 'Failed to fetch';
    const currentReport = state(report(), { error, remedy: 'Mend it.', status, quiet });
    const texts = health(currentReport, trans);
    expect(texts).toContain(words);
  });
});

describe('title()', () => {
  it('returns the file of the notebook, the kernel spec, or the name of the terminal or app', () => {
    expect(title(resource({ paths: ['a/b/train.ipynb'] }), trans)).toBe('train.ipynb');
    expect(title(resource({}), trans)).toBe('python3');
    expect(title(resource({ kind: 'terminal', id: '1', name: '1' }), trans)).toBe('terminal 1');
    const image = resource({
      kind: 'terminal',
      id: 'arn:aws:sagemaker:us-west-2:1:image/pytorch-1.8__1__ml.t3.medium'
    });
    expect(title(image, trans)).toBe('terminal of pytorch-1.8');
    expect(title(APP, trans)).toBe('pytorch-1-8');
    expect(title({ ...APP, name: 'default' }, trans)).toBe('default');
  });
});

describe('doing()', () => {
  it.each([
    [active('busy', { state_since: at(-184) }), 'running 3 h 04 m'],
    [
      active('running-job', { kind: 'terminal', parameters: { command: 'python' } }),
      'running python'
    ],
    [active('busy', { parameters: { case: 'input' } }), 'waiting for input'],
    [active('vetoed', { parameters: { hook: 'backup' } }), 'kept by backup'],
    [active('in-use', { kind: 'terminal' }), 'follows its app'],
    [active('in-use', { kind: 'app' }), 'in use'],
    [active('unknown'), 'activity not known'],
    [active('not-in-service', { state: 'Pending' }), 'starting'],
    [active('some-new-reason'), 'some-new-reason'],
    [resource({}), 'idle 1 h / 2 h']
  ])('describes each state in a few words: case %#', (row, words) => {
    expect(doing(row, NOW, trans)).toBe(words);
  });

  it('shows the end of a keep-alive, and the idle time when the keep-alive is about to end', () => {
    const kept = resource({ kept_until: at(90), warn_at: at(85), due_at: at(90) });
    expect(doing(kept, NOW, trans)).toMatch(/^kept until /);
    expect(doing(kept, NOW + 86 * MINUTE, trans)).toBe('idle 2 h 26 m / 2 h');
  });
});

describe('explain() and doing() have complete sentences for each decision of the server', () => {
  it.each(recorded)('$kind $reason $parameters', entry => {
    const row = resource({
      kind: entry.kind as 'kernel',
      reason: entry.reason,
      parameters: entry.parameters as unknown as Record<string, string>,
      detail: 'ENGLISH OF THE SERVER'
    });
    if (!entry.idle) {
      Object.assign(row, { idle_since: null, due_at: null, warn_at: null });
    }
    if (entry.reason === 'kept-alive') {
      row.kept_until = at(60);
    }
    const texts = explain(row, context(report(row))).join(' ');
    expect(texts).not.toBe('');
    expect(texts).not.toMatch(/ENGLISH|undefined|NaN|Invalid|: \.| \(\)/);
    expect(doing(row, NOW, trans)).not.toMatch(/undefined|NaN|^[a-z]+-[a-z-]+$/);
  });
});

describe('the texts of a resource with the reason suspect-busy', () => {
  const suspect = (kind: string, more: object = {}): IResource =>
    active('suspect-busy', { parameters: { case: kind, silent_since: at(-9 * 60) }, ...more });

  it('mention an idle cluster only for the case low-use', () => {
    const texts = (kind: string): string => {
      const row = suspect(kind);
      return `${doing(row, NOW, trans)}: ${explain(row, context(report(row))).join(' ')}`;
    };
    expect(texts('low-use')).toMatch(/^hardly uses the processor: For 9 h it .* idle cluster/);
    expect(texts('host-use')).toMatch(
      /^hardly uses the processor: For 9 h its host .* another app/
    );
    expect(texts('cell')).toMatch(/^busy without a sign of work: Busy, but without output .* 9 h/);
    for (const kind of ['low-use', 'host-use', 'cell', 'refused']) {
      expect(texts(kind)).toContain('It is kept; an administrator can limit this');
      expect(texts(kind).includes('cluster')).toBe(kind === 'low-use');
    }
  });

  it('say "silent" before the limit of the administrator', () => {
    const clock = { idle_since: at(-9 * 60), due_at: at(60), limit_minutes: 600 };
    for (const [kind, words] of [
      ['cell', 'It is busy, but has shown no sign of work for 9 h of 10 h.'],
      ['host-use', 'For 9 h its host has used the processor only a little']
    ]) {
      const row = suspect(kind, clock);
      expect(doing(row, NOW, trans)).toBe('silent 9 h / 10 h');
      expect(explain(row, context(report(row))).join(' ')).toContain(words);
    }
  });
});

describe('the names of resources', () => {
  const kernel = (id: string, path: string): IResource => resource({ id, paths: [path] });

  it('include a place only if two titles are the same', () => {
    const all = [kernel('1', 'a/train.ipynb'), kernel('2', 'train.ipynb'), kernel('3', 'x.ipynb')];
    const names = namesOf(all, trans);
    expect(all.map(r => fullName(names.get(keyOf(r)) ?? { title: '', place: '' }))).toEqual([
      'train.ipynb (a/)',
      'train.ipynb (./)',
      'x.ipynb'
    ]);
  });

  it('distinguish two kernels of one notebook, and two kernels without a notebook', () => {
    const all = [kernel('aaaaaaaaa', 'a/t.ipynb'), kernel('bbbbbbbbb', 'a/t.ipynb')];
    expect(all.map(r => nameAmong(r, all, trans))).toEqual([
      't.ipynb (a/ aaaaa)',
      't.ipynb (a/ bbbbb)'
    ]);
    const bare = [resource({ id: 'cccccccccc' }), resource({ id: 'dddddddddd' })];
    expect(bare.map(r => nameAmong(r, bare, trans))).toEqual([
      'python3 (ccccc)',
      'python3 (ddddd)'
    ]);
  });

  it('appear with their place in a notification', () => {
    const due = { warn_at: at(-1), due_at: at(4) };
    const all = [{ ...kernel('1', 'a/t.ipynb'), ...due }, kernel('2', 'b/t.ipynb')];
    expect(announcement([all[0]], all, NOW, trans)).toMatch(/^t\.ipynb \(a\/\) stops at/);
  });
});

describe('announcement()', () => {
  const due = { warn_at: at(-1), due_at: at(4) };

  it('names the resource, the time and the reason', () => {
    const kernel = resource({ ...due, paths: ['eval.ipynb'] });
    expect(announcement([kernel], [kernel], NOW, trans)).toMatch(
      /^eval\.ipynb stops at .+: idle 1 h \/ 2 h\.$/
    );
  });

  it('begins with the notebooks, and is at most 140 characters long', () => {
    const name = 'a-very-long-name-that-somebody-gave-to-a-notebook-once.ipynb';
    const kernels = [1, 2, 3].map(n => resource({ ...due, id: String(n), paths: [n + name] }));
    const texts = announcement([{ ...APP, ...due }, ...kernels], kernels, NOW, trans);
    expect(texts.startsWith('1a-very-long')).toBe(true);
    expect(texts).toContain('and 2 more');
    expect(texts.length).toBeLessThanOrEqual(140);
  });

  it('countdown() shows the minutes to the stop in the status bar', () => {
    const currentReport = report(resource({ ...due, paths: ['eval.ipynb'] }));
    expect(countdown(currentReport, NOW, trans)).toBe('eval.ipynb stops in 4 m');
    currentReport.policy.dry_run = true;
    expect(countdown(currentReport, NOW, trans)).toBeNull();
  });
});

describe('settingsSummary()', () => {
  const texts = (kind: string, more: object = {}): string =>
    settingsSummary({ ...report().policy, ...more }, { kind }, trans).join(' ');

  it('describes what is stopped on each platform', () => {
    expect(texts('local')).toBe(
      'Notebooks and terminals idle for 2 hours are stopped. You get a notice 5 minutes before.'
    );
    expect(texts('studio-classic')).toContain('deleted at the same time. An instance stops');
    expect(texts('studio-space')).toContain('the space and its files stay');
    expect(texts('notebook-instance')).toContain('This notebook instance is stopped');
  });

  it.each([
    [{ enabled: false }, 'Nothing is stopped'],
    [{ terminal_idle_timeout_minutes: 30 }, 'terminals after 30 minutes'],
    [{ app_idle_timeout_minutes: 240 }, 'deleted after 4 hours'],
    [{ keep_terminals: true }, 'Open terminals stay'],
    [{ protect_connected: true }, 'open in a browser stays'],
    [{ rules: [{ image: 'x', idle_timeout_minutes: 9 }] }, '1 rule sets'],
    [{ dry_run: true }, 'nothing is stopped (dry run)']
  ])('mentions the setting %j', (more, words) => {
    expect(texts('studio-classic', more)).toContain(words);
  });

  it("mentions SageMaker's own idle shutdown if its limit is known", () => {
    const platform = { kind: 'studio-space', native_idle_timeout_minutes: 120 };
    const words = settingsSummary(report().policy, platform, trans).join(' ');
    expect(words).toContain("SageMaker's own idle shutdown: after 2 hours.");
  });
});

describe('stopped()', () => {
  it('names the time of the stop, the idle time and the rule', () => {
    const texts = stopped(outcome({ rule: 'rules[1]' }), null, 'local', NOW, trans).join(' ');
    expect(texts).toMatch(/stopped the kernel of this notebook at .+, after 2 h without activity/);
    expect(texts).toContain('(rule 2)');
    expect(texts).not.toContain('Studio Classic');
  });

  it('warns that the deleted app may not start again', () => {
    const app = outcome({ kind: 'app', name: 'pytorch' });
    const texts = stopped(outcome({}), app, 'studio-classic', NOW, trans).join(' ');
    expect(texts).toContain('Its app (pytorch) was deleted too');
    expect(texts).toContain('may not be able to start it again');
  });

  it('mentions that a user requested the stop', () => {
    const asked = outcome({ reason: 'requested', idle_since: null, rule: 'request' });
    expect(stopped(asked, null, 'local', NOW, trans)[0]).toContain('because somebody asked for it');
  });
});
