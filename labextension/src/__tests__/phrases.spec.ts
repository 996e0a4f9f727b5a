import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { grouped } from '../model/report';
import type { IState } from '../behaviour/poller';
import { fullName, keyOf, nameAmong, namesOf, title } from '../model/names';
import { settingsSummary } from '../model/settingssummary';
import { stopped } from '../model/stoppedtext';
import { instanceSentence, instanceWords } from '../model/instancesentences';
import { explain } from '../model/sentences';
import type { IContext } from '../model/sentences';
import type { IReport, IResource } from '../model/types';
import { announcement, countdown, doing, health } from '../model/phrases';
import recorded from './reports/sentences.json';
import { APP, MINUTE, NOW, active, at, outcome, report, resource } from './given';

const trans = nullTranslator.load('');

function state(found: IReport | null, more: Partial<IState> = {}): IState {
  return { report: found, error: null, remedy: '', status: 200, quiet: false, ...more };
}

describe('health', () => {
  it('says that it watches', () => {
    expect(health(state(report()), trans)).toBe('Watching');
    const dry = report();
    dry.policy.dry_run = true;
    expect(health(state(dry), trans)).toMatch(/^Dry run: nothing is stopped/);
  });

  it.each([
    ['disabled', 'Switched off'],
    ['failing', 'cannot be stopped'],
    ['degraded', 'does not work']
  ] as const)('%s is said in words', (name, words) => {
    const found = report();
    found.health.state = name;
    expect(health(state(found), trans)).toContain(words);
  });

  it.each([
    [0, false, 'does not answer'],
    [0, true, 'stopped asking'],
    [403, false, 'logged in'],
    [404, false, 'does not run here'],
    [503, false, 'Bad trait. Mend it.']
  ])('an answer of %d says what to do', (status, quiet, words) => {
    const error = status === 503 ? 'Bad trait.' : 'Failed to fetch';
    const found = state(report(), { error, remedy: 'Mend it.', status, quiet });
    const said = health(found, trans);
    expect(said).toContain(words);
  });
});

describe('titles', () => {
  it('are what people know things by', () => {
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

describe('what a resource does', () => {
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
  ])('%#', (found, words) => {
    expect(doing(found, NOW, trans)).toBe(words);
  });

  it('says until when it is kept, until that is about to end', () => {
    const kept = resource({ kept_until: at(90), warn_at: at(85), due_at: at(90) });
    expect(doing(kept, NOW, trans)).toMatch(/^kept until /);
    expect(doing(kept, NOW + 86 * MINUTE, trans)).toBe('idle 2 h 26 m / 2 h');
  });
});

function context(found: IReport, more: Partial<IContext> = {}): IContext {
  const names = namesOf(found.resources, trans);
  return { report: found, names, answered: true, now: NOW, trans, ...more };
}

describe('a billed instance', () => {
  const train = { paths: ['train.ipynb'], app: APP.id };
  const inUse = active('in-use', { ...APP, reason: 'in-use', idle_since: null, due_at: null });

  function said(found: IReport): [string, string] {
    const [instance] = grouped(found.resources);
    return [instanceWords(instance, context(found)), instanceSentence(instance, context(found))];
  }

  it('says what has to happen, in plain words', () => {
    expect(said(report(inUse, active('busy', train)))).toEqual([
      'in use',
      "Stops when train.ipynb's cell has ended and nobody has used it for 2 h."
    ]);
  });

  it('only counts time for what is idle', () => {
    expect(said(report(APP, resource(train)))).toEqual([
      'idle 1 h / 2 h',
      'Stops when nobody has used it for another 1 h.'
    ]);
  });

  it('gives a clock time only within the warning', () => {
    expect(said(report({ ...APP, warn_at: at(-1), due_at: at(4) }))[0]).toMatch(/^stops at /);
  });

  it('says when it cannot end by itself', () => {
    const canvas = active('not-covered', { ...APP, reason: 'not-covered', name: 'canvas' });
    const foreign = report({ ...canvas, idle_since: null, due_at: null });
    expect(said(foreign)[1]).toContain('canvas is never stopped from here');
    expect(said(report({ ...APP, state: 'Deleting' }))[1]).toContain('SageMaker deletes it');
    const kept = resource({ ...train, kept_until: at(240) });
    expect(said(report(APP, kept))[1]).toContain('train.ipynb is no longer kept');
  });

  const due = { ...APP, warn_at: at(-1), due_at: at(4) };
  const cannot = (found: IReport): void => {
    found.health.state = 'failing';
    found.health.faults = [
      { source: 'cycle', code: 'X', message: 'A pass failed.', remedy: '', since: at(-9) }
    ];
  };
  it.each([
    ['dry run', (found: IReport) => void (found.policy.dry_run = true)],
    ['disabled', (found: IReport) => void (found.policy.enabled = false)],
    ['failing', cannot],
    ['not armed', (found: IReport) => void (found.health.armed = false)]
  ])('announces no stop: %s', (_, change) => {
    const found = report(due, resource({ ...train, warn_at: at(-1), due_at: at(4) }));
    change(found);
    const words = [
      ...said(found),
      ...found.resources.map(r => explain(r, context(found)).join(' '))
    ];
    expect(words.join(' ')).not.toMatch(/\b[Ss]tops (at|when|in)/);
    expect(countdown(found, NOW, trans)).toBeNull();
  });

  it('cannot be stopped without a permission, and its kernels still can', () => {
    const inside = resource({ ...train, warn_at: at(-1), due_at: at(4) });
    const found = report(due, inside);
    found.health.state = 'failing';
    found.health.faults = [
      { source: 'apps', code: 'X', message: 'The role lacks it.', remedy: '', since: at(-9) }
    ];
    expect(said(found)[1]).toBe('It cannot be stopped: The role lacks it.');
    expect(explain(inside, context(found)).join(' ')).toContain('It stops at');
  });

  it('says nothing of the future while the server does not answer', () => {
    const found = report(due);
    expect(explain(due, context(found, { answered: false })).join(' ')).not.toContain('stop at');
    expect(explain(due, context(found)).join(' ')).toContain('It stops at');
  });
});

describe('the sentence of every verdict that the server can give', () => {
  it.each(recorded)('$kind $reason $parameters', entry => {
    const found = resource({
      kind: entry.kind as 'kernel',
      reason: entry.reason,
      parameters: entry.parameters as unknown as Record<string, string>,
      detail: 'ENGLISH OF THE SERVER'
    });
    if (!entry.idle) {
      Object.assign(found, { idle_since: null, due_at: null, warn_at: null });
    }
    if (entry.reason === 'kept-alive') {
      found.kept_until = at(60);
    }
    const said = explain(found, context(report(found))).join(' ');
    expect(said).not.toBe('');
    expect(said).not.toMatch(/ENGLISH|undefined|NaN|Invalid|: \.| \(\)/);
    expect(doing(found, NOW, trans)).not.toMatch(/undefined|NaN|^[a-z]+-[a-z-]+$/);
  });
});

describe('a suspect resource', () => {
  const suspect = (kind: string, more: object = {}): IResource =>
    active('suspect-busy', { parameters: { case: kind, silent_since: at(-9 * 60) }, ...more });

  it('names the idle cluster only where it may be one', () => {
    const said = (kind: string): string => {
      const found = suspect(kind);
      return `${doing(found, NOW, trans)}: ${explain(found, context(report(found))).join(' ')}`;
    };
    expect(said('low-use')).toMatch(/^hardly uses the processor: For 9 h it .* idle cluster/);
    expect(said('host-use')).toMatch(/^hardly uses the processor: For 9 h its host .* another app/);
    expect(said('cell')).toMatch(/^busy without a sign of work: Busy, but without output .* 9 h/);
    for (const kind of ['low-use', 'host-use', 'cell', 'refused']) {
      expect(said(kind)).toContain('It is kept; an administrator can limit this');
      expect(said(kind).includes('cluster')).toBe(kind === 'low-use');
    }
  });

  it('is not called idle before the limit that the administrator has set', () => {
    const clock = { idle_since: at(-9 * 60), due_at: at(60), limit_minutes: 600 };
    for (const [kind, words] of [
      ['cell', 'It is busy, but has shown no sign of work for 9 h of 10 h.'],
      ['host-use', 'For 9 h its host has used the processor only a little']
    ]) {
      const found = suspect(kind, clock);
      expect(doing(found, NOW, trans)).toBe('silent 9 h / 10 h');
      expect(explain(found, context(report(found))).join(' ')).toContain(words);
    }
  });
});

describe('names', () => {
  const kernel = (id: string, path: string): IResource => resource({ id, paths: [path] });

  it('have a place only where the title alone is not enough', () => {
    const all = [kernel('1', 'a/train.ipynb'), kernel('2', 'train.ipynb'), kernel('3', 'x.ipynb')];
    const names = namesOf(all, trans);
    expect(all.map(r => fullName(names.get(keyOf(r)) ?? { title: '', place: '' }))).toEqual([
      'train.ipynb (a/)',
      'train.ipynb (./)',
      'x.ipynb'
    ]);
  });

  it('tell two kernels of one notebook apart, and two without one', () => {
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

  it('stand in a notification', () => {
    const due = { warn_at: at(-1), due_at: at(4) };
    const all = [{ ...kernel('1', 'a/t.ipynb'), ...due }, kernel('2', 'b/t.ipynb')];
    expect(announcement([all[0]], all, NOW, trans)).toMatch(/^t\.ipynb \(a\/\) stops at/);
  });
});

describe('announcements', () => {
  const due = { warn_at: at(-1), due_at: at(4) };

  it('say what, when and why', () => {
    const kernel = resource({ ...due, paths: ['eval.ipynb'] });
    expect(announcement([kernel], [kernel], NOW, trans)).toMatch(
      /^eval\.ipynb stops at .+: idle 1 h \/ 2 h\.$/
    );
  });

  it('begin with the notebooks, and fit into a notification', () => {
    const name = 'a-very-long-name-that-somebody-gave-to-a-notebook-once.ipynb';
    const kernels = [1, 2, 3].map(n => resource({ ...due, id: String(n), paths: [n + name] }));
    const said = announcement([{ ...APP, ...due }, ...kernels], kernels, NOW, trans);
    expect(said.startsWith('1a-very-long')).toBe(true);
    expect(said).toContain('and 2 more');
    expect(said.length).toBeLessThanOrEqual(140);
  });

  it('count down in the status bar', () => {
    const found = report(resource({ ...due, paths: ['eval.ipynb'] }));
    expect(countdown(found, NOW, trans)).toBe('eval.ipynb stops in 4 m');
    found.policy.dry_run = true;
    expect(countdown(found, NOW, trans)).toBeNull();
  });
});

describe('the summary of the settings', () => {
  const said = (kind: string, more: object = {}): string =>
    settingsSummary({ ...report().policy, ...more }, { kind }, trans).join(' ');

  it('says what happens to what, on each platform', () => {
    expect(said('local')).toBe(
      'Notebooks and terminals idle for 2 hours are stopped. You get a notice 5 minutes before.'
    );
    expect(said('studio-classic')).toContain('deleted at the same time. An instance stops');
    expect(said('studio-space')).toContain('the space and its files stay');
    expect(said('notebook-instance')).toContain('This notebook instance is stopped');
  });

  it.each([
    [{ enabled: false }, 'Nothing is stopped'],
    [{ terminal_idle_timeout_minutes: 30 }, 'terminals after 30 minutes'],
    [{ app_idle_timeout_minutes: 240 }, 'deleted after 4 hours'],
    [{ keep_terminals: true }, 'Open terminals stay'],
    [{ protect_connected: true }, 'open in a browser stays'],
    [{ rules: [{ image: 'x', idle_timeout_minutes: 9 }] }, '1 rule sets'],
    [{ dry_run: true }, 'nothing is stopped (dry run)']
  ])('%j', (more, words) => {
    expect(said('studio-classic', more)).toContain(words);
  });

  it("tells of SageMaker's own, where it is known", () => {
    const platform = { kind: 'studio-space', native_idle_timeout_minutes: 120 };
    const words = settingsSummary(report().policy, platform, trans).join(' ');
    expect(words).toContain("SageMaker's own idle shutdown: after 2 hours.");
  });
});

describe('what a notebook says afterwards', () => {
  it('says when, after how long and by which rule', () => {
    const said = stopped(outcome({ rule: 'rules[1]' }), null, 'local', NOW, trans).join(' ');
    expect(said).toMatch(/stopped the kernel of this notebook at .+, after 2 h without activity/);
    expect(said).toContain('(rule 2)');
    expect(said).not.toContain('Studio Classic');
  });

  it('is honest where the app went too and may not come back', () => {
    const app = outcome({ kind: 'app', name: 'pytorch' });
    const said = stopped(outcome({}), app, 'studio-classic', NOW, trans).join(' ');
    expect(said).toContain('Its app (pytorch) was deleted too');
    expect(said).toContain('may not be able to start it again');
  });

  it('says so when somebody asked for it', () => {
    const asked = outcome({ reason: 'requested', idle_since: null, rule: 'request' });
    expect(stopped(asked, null, 'local', NOW, trans)[0]).toContain('because somebody asked for it');
  });
});
