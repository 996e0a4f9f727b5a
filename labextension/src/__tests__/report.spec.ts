import { describe, expect, it } from 'vitest';

import { appOf, removals } from '../model/removals';
import {
  announced,
  billed,
  deadlines,
  digest,
  grouped,
  holdOf,
  idleNow,
  keepChoices,
  keepers,
  minutesUntil,
  nextMoment,
  progress,
  warning
} from '../model/report';
import { APP, MINUTE, NOW, at, outcome, report, resource } from './given';

describe('grouped()', () => {
  it('lists billed instances first, and resources without an app last', () => {
    const kernel = resource({ app: APP.id });
    const free = resource({ kind: 'terminal', id: '1', name: '1' });
    const server = { ...APP, id: 'JupyterServer/default', instance_type: 'system', billing: false };
    const groups = grouped(report(kernel, free, server, APP).resources);
    expect(groups.map(i => [i.type, billed(i)])).toEqual([
      ['ml.g5.xlarge', true],
      ['system', false],
      ['', false]
    ]);
    expect(groups[0].apps[0].inside).toEqual([kernel]);
    expect(groups[2].apps[0].inside).toEqual([free]);
  });

  it('omits deleted apps, and keeps the kernels that ran in them', () => {
    const kernel = resource({ app: APP.id });
    const groups = grouped(report(kernel, { ...APP, state: 'Deleted' }).resources);
    expect(groups).toEqual([{ type: '', apps: [{ app: null, inside: [kernel] }] }]);
  });

  it('returns no group for an empty report', () => {
    expect(grouped(report().resources)).toEqual([]);
  });
});

describe('idleNow()', () => {
  it.each([
    ['recent-activity', true],
    ['presence', true], // somebody typed in it, and its row counts the time since
    ['output', false],
    ['suspect-busy', false],
    ['max-busy', false],
    ['kept-alive', false]
  ])('includes a resource with the reason %s: %s', (reason, offered) => {
    expect(idleNow(report(resource({ reason })))).toHaveLength(offered ? 1 : 0);
  });

  it('omits active resources', () => {
    const busy = resource({ reason: 'presence', idle_since: null, due_at: null });
    expect(idleNow(report(busy))).toEqual([]);
  });
});

describe('progress and warning', () => {
  it('progress() is the share of the limit for an idle resource, and null for an active one', () => {
    expect(progress(resource({}), NOW)).toBe(0.5);
    expect(progress(resource({ idle_since: at(-600) }), NOW)).toBe(1);
    expect(progress(resource({ idle_since: null, due_at: null }), NOW)).toBeNull();
  });

  it('warning() returns the time to the stop from warn_at on', () => {
    expect(warning(resource({}), NOW)).toBeNull();
    expect(warning(resource({ warn_at: at(-1), due_at: at(4) }), NOW)).toBe(4 * MINUTE);
    expect(warning(resource({ warn_at: at(-9), due_at: at(-4) }), NOW)).toBe(0);
  });

  it('announced() lists the resources in their warning, the earliest first', () => {
    const later = resource({ id: 'later', warn_at: at(-1), due_at: at(4) });
    const sooner = resource({ id: 'sooner', warn_at: at(-1), due_at: at(2) });
    const currentReport = report(resource({}), later, sooner);
    expect(announced(currentReport, NOW).map(r => r.id)).toEqual(['sooner', 'later']);
    expect(announced(report(resource({})), NOW)).toEqual([]);
  });

  it.each(['enabled', 'dry_run'] as const)(
    'announced() lists no resource that the setting %s keeps',
    name => {
      const currentReport = report(resource({ warn_at: at(-1), due_at: at(4) }));
      currentReport.policy[name] = !currentReport.policy[name];
      expect(announced(currentReport, NOW)).toEqual([]);
    }
  );

  it('nextMoment() returns the time to the next warning or stop', () => {
    expect(nextMoment(report(resource({}), resource({ warn_at: at(-3) })), NOW)).toBe(55 * MINUTE);
    expect(nextMoment(report(resource({ warn_at: null, due_at: null })), NOW)).toBeNull();
  });

  it('deadlines() groups resources that are due within one minute', () => {
    const due = [2, 2.5, 3, 3.5].map(n => resource({ id: String(n), due_at: at(n) }));
    expect(deadlines(due).map(group => group.map(r => r.id))).toEqual([['2', '2.5', '3'], ['3.5']]);
    expect(deadlines([])).toEqual([]);
  });
});

describe('keep-alives', () => {
  it('keepers() replaces the kernels of an app by the app', () => {
    const inside = resource({ id: 'inside', app: APP.id });
    const elsewhere = resource({ id: 'elsewhere', app: 'KernelGateway/b' });
    const free = resource({ id: 'free' });
    const listed = keepers([inside, APP, elsewhere, free]);
    expect(listed.map(r => r.id)).toEqual([APP.id, 'elsewhere', 'free']);
  });

  it('holdOf() returns the keep-alive that ends last', () => {
    const kernel = resource({ app: APP.id });
    const own = { kind: 'kernel', id: 'k', kept_until: at(10) } as const;
    const app = { kind: 'app', id: APP.id, kept_until: at(20) } as const;
    const all = { kind: 'all', id: 'all', kept_until: at(15) } as const;
    const other = { kind: 'kernel', id: 'x', kept_until: at(99) } as const;
    expect(holdOf(kernel, [own, app, all, other])).toBe(app);
    expect(holdOf(kernel, [own, all, other])).toBe(all);
    expect(holdOf(kernel, [own, other])).toBe(own);
    expect(holdOf(kernel, [other])).toBeNull();
  });

  it('keepChoices() offers the hours that the administrator allows', () => {
    expect(keepChoices(1440)).toEqual([1, 4, 8]);
    expect(keepChoices(300)).toEqual([1, 4]);
    expect(keepChoices(30)).toEqual([0.5]);
  });

  it('minutesUntil() counts to the next occurrence of a time of day', () => {
    const noon = new Date(2026, 10, 24, 12, 0, 0).getTime();
    expect(minutesUntil('13:30', noon)).toBe(90);
    expect(minutesUntil('11:00', noon)).toBe(23 * 60);
    expect(minutesUntil('12:00', noon)).toBe(24 * 60);
    expect(minutesUntil('', noon)).toBeNull();
  });
});

describe('outcomes of removals', () => {
  it('removals() merges the outcomes with the history, without duplicates, newest first', () => {
    const old = outcome({ at: at(-90), id: 'old' });
    const fresh = outcome({ at: at(-1), id: 'fresh' });
    const listed = removals([old, fresh], [{ ...old }, outcome({ at: at(-300), id: 'older' })]);
    expect(listed.map(o => o.id)).toEqual(['fresh', 'old', 'older']);
  });

  it('appOf() returns the app that was deleted together with its kernel', () => {
    const kernel = outcome({ app: APP.id });
    const app = outcome({ kind: 'app', id: APP.id, at: at(1) });
    expect(appOf(kernel, [kernel, app])).toBe(app);
    expect(appOf(kernel, [kernel, { ...app, at: at(60) }])).toBeNull();
    expect(appOf(kernel, [kernel, { ...app, outcome: 'permanent' }])).toBeNull();
    expect(appOf({ ...kernel, app: null }, [kernel, app])).toBeNull();
  });
});

describe('digest()', () => {
  it('changes with the rows and the keep-alives, and not with the time of a pass', () => {
    const currentReport = report(resource({}));
    const again = {
      ...currentReport,
      now: at(1),
      health: { ...currentReport.health, next_pass: at(2) }
    };
    expect(digest(again)).toBe(digest(currentReport));
    expect(digest(report(resource({ reason: 'busy' })))).not.toBe(digest(currentReport));
    const kept = {
      ...currentReport,
      keep_alive: [{ kind: 'all', id: 'all', kept_until: at(9) } as const]
    };
    expect(digest(kept)).not.toBe(digest(currentReport));
  });
});
