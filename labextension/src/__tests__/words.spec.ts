import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { grouped } from '../model/report';
import type { IState } from '../behaviour/poller';
import { promise, stopped } from '../model/sentences';
import type { IReport } from '../model/types';
import { announcement, countdown, doing, health, needs, title } from '../model/words';
import { APP, MINUTE, NOW, active, at, outcome, report, resource } from './given';

const trans = nullTranslator.load('');

function state(found: IReport | null, more: Partial<IState> = {}): IState {
  return { report: found, error: null, status: 200, quiet: false, ...more };
}

describe('health', () => {
  it('says that it watches, and when it looks again', () => {
    expect(health(state(report()), NOW, trans)).toBe('Watching. Next check in 30 s.');
    const dry = report();
    dry.policy.dry_run = true;
    expect(health(state(dry), NOW, trans)).toMatch(/^Dry run: nothing is removed/);
  });

  it.each([
    ['disabled', 'Switched off'],
    ['failing', 'cannot be'],
    ['degraded', 'does not work']
  ] as const)('%s is said in words', (name, words) => {
    const found = report();
    found.health.state = name;
    expect(health(state(found), NOW, trans)).toContain(words);
  });

  it.each([
    [0, false, 'does not answer'],
    [0, true, 'no longer asked'],
    [403, false, 'logged in'],
    [404, false, 'does not run here'],
    [503, false, 'Starting']
  ])('an answer of %d says what to do', (status, quiet, words) => {
    const said = health(state(report(), { error: 'Failed to fetch', status, quiet }), NOW, trans);
    expect(said).toContain(words);
  });
});

describe('titles', () => {
  it('are what people know things by', () => {
    expect(title(resource({ paths: ['a/b/train.ipynb'] }), trans)).toBe('train.ipynb');
    expect(title(resource({}), trans)).toBe('python3');
    expect(title(resource({ kind: 'terminal', id: '1', name: '1' }), trans)).toBe('terminal 1');
    const image = resource({ kind: 'terminal', id: 'arn:x__1__ml.t3.medium' });
    expect(title(image, trans)).toBe('image terminal');
    expect(title(APP, trans)).toBe('pytorch-1-8');
    expect(title({ ...APP, name: 'default' }, trans)).toBe('default');
  });
});

describe('what a resource does', () => {
  it.each([
    [active('busy', { state_since: at(-184) }), 'running a cell, 3 h 04 m'],
    [active('running-job', { kind: 'terminal', detail: 'Running python.' }), 'running python'],
    [active('in-use', { kind: 'terminal' }), 'follows its app'],
    [active('in-use', { kind: 'app' }), 'in use'],
    [active('unknown'), 'cannot be told'],
    [active('not-in-service', { state: 'Pending' }), 'pending'],
    [active('some-new-reason'), 'some-new-reason'],
    [resource({}), 'idle 1 h of 2 h']
  ])('%#', (found, words) => {
    expect(doing(found, NOW, trans)).toBe(words);
  });

  it('says until when it is kept, until that is about to end', () => {
    const kept = resource({ kept_until: at(90), warn_at: at(85), due_at: at(90) });
    expect(doing(kept, NOW, trans)).toMatch(/^kept until /);
    expect(doing(kept, NOW + 86 * MINUTE, trans)).toBe('idle 2 h 26 m of 2 h');
  });
});

describe('what an instance needs', () => {
  const train = { paths: ['train.ipynb'], app: APP.id };
  function said(...inside: Parameters<typeof report>): string {
    return needs(grouped(report(...inside))[0], NOW, trans);
  }

  it('names what holds it, and the time that has to pass then', () => {
    const app = active('in-use', { ...APP, reason: 'in-use', idle_since: null, due_at: null });
    expect(said(app, active('busy', train))).toBe(
      'To become idle: train.ipynb has to end its cell; then 2 h without activity.'
    );
  });

  it('only counts time for what is idle', () => {
    expect(said(APP, resource(train))).toBe('To become idle: 1 h more without activity.');
  });

  it('gives a clock time only within the warning', () => {
    expect(said({ ...APP, warn_at: at(-1), due_at: at(4) })).toMatch(/^Stops at /);
  });

  it('says when it cannot end by itself', () => {
    const canvas = active('not-covered', { ...APP, reason: 'not-covered', name: 'canvas' });
    expect(said({ ...canvas, due_at: null })).toContain('canvas is never removed from here');
    expect(said({ ...APP, state: 'Deleting' })).toContain('Being deleted');
    expect(said(APP, resource({ ...train, kept_until: at(240) }))).toContain('is kept until');
  });
});

describe('announcements', () => {
  const due = { warn_at: at(-1), due_at: at(4) };

  it('say what, when and why', () => {
    const kernel = resource({ ...due, paths: ['eval.ipynb'] });
    expect(announcement([kernel], NOW, trans)).toMatch(
      /^eval\.ipynb stops at .+: idle 1 h of 2 h\.$/
    );
  });

  it('begin with the notebooks, and fit into a notification', () => {
    const name = 'a-very-long-name-that-somebody-gave-to-a-notebook-once.ipynb';
    const kernels = [1, 2, 3].map(n => resource({ ...due, id: String(n), paths: [n + name] }));
    const said = announcement([{ ...APP, ...due }, ...kernels], NOW, trans);
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

describe('the promise of the settings', () => {
  const said = (kind: string, more: object = {}): string =>
    promise({ ...report().policy, ...more }, { kind }, trans).join(' ');

  it('says what happens to what, on each platform', () => {
    expect(said('local')).toBe(
      'Notebooks and terminals idle for 2 hours are stopped. You are told 5 minutes before.'
    );
    expect(said('studio-classic')).toContain('deleted at the same moment, and an instance');
    expect(said('studio-space')).toContain('the space and its files stay');
    expect(said('notebook-instance')).toContain('this notebook instance is stopped');
  });

  it.each([
    [{ enabled: false }, 'Nothing is shut down'],
    [{ terminal_idle_timeout_minutes: 30 }, 'terminals after 30 minutes'],
    [{ app_idle_timeout_minutes: 240 }, 'deleted after 4 hours'],
    [{ keep_terminals: true }, 'Open terminals stay'],
    [{ protect_connected: true }, 'stays, as long as that tab'],
    [{ rules: [{ image: 'x', idle_timeout_minutes: 9 }] }, '1 rule sets'],
    [{ dry_run: true }, 'nothing is removed (dry run)']
  ])('%j', (more, words) => {
    expect(said('studio-classic', more)).toContain(words);
  });

  it("tells of SageMaker's own, where it is known", () => {
    const platform = { kind: 'studio-space', native_idle_timeout_minutes: 120 };
    const words = promise(report().policy, platform, trans).join(' ');
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
