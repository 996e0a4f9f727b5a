import { describe, expect, it } from 'vitest';

import {
  billed,
  duration,
  grouped,
  keepChoices,
  nextDue,
  progress,
  title,
  warning
} from '../model';
import type { IReport, IResource } from '../types';

const NOW = Date.parse('2026-11-24T12:00:00.000Z');
const MINUTE = 60_000;

function at(minutes: number): string {
  return new Date(NOW + minutes * MINUTE).toISOString();
}

function resource(more: Partial<IResource>): IResource {
  return {
    kind: 'kernel',
    id: 'k',
    name: 'python3',
    app: null,
    paths: [],
    state: 'idle',
    instance_type: null,
    action: 'keep',
    reason: 'recent-activity',
    detail: 'Idle.',
    signal: 'request',
    limit_minutes: 120,
    rule: 'idle_timeout_minutes',
    idle_since: at(-60),
    warn_at: at(55),
    due_at: at(60),
    kept_until: null,
    billing: false,
    ...more
  };
}

function report(...resources: IResource[]): IReport {
  return { resources } as unknown as IReport;
}

const APP = resource({
  kind: 'app',
  id: 'KernelGateway/a',
  name: 'a',
  instance_type: 'ml.g5.xlarge',
  billing: true
});

describe('duration', () => {
  it.each([
    [-5, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 m'],
    [3_600_000, '1 h'],
    [4_320_000, '1 h 12 m'],
    [3_660_000, '1 h 01 m'],
    [86_400_000, '1 d'],
    [100_800_000, '1 d 4 h']
  ])('%d ms is %s', (milliseconds, words) => {
    expect(duration(milliseconds)).toBe(words);
  });
});

describe('grouped', () => {
  it('puts what is billed first, and what runs in no app last', () => {
    const kernel = resource({ app: APP.id });
    const free = resource({ kind: 'terminal', id: '1', name: '1' });
    const server = { ...APP, id: 'JupyterServer/default', instance_type: 'system', billing: false };
    const found = grouped(report(kernel, free, server, APP));
    expect(found.map(i => [i.type, billed(i)])).toEqual([
      ['ml.g5.xlarge', true],
      ['system', false],
      ['', false]
    ]);
    expect(found[0].apps[0].inside).toEqual([kernel]);
    expect(found[2].apps[0].inside).toEqual([free]);
  });

  it('leaves out apps that are gone, and loses nothing that was in them', () => {
    const kernel = resource({ app: APP.id });
    const found = grouped(report(kernel, { ...APP, state: 'Deleted' }));
    expect(found).toEqual([{ type: '', apps: [{ app: null, inside: [kernel] }] }]);
  });

  it('has nothing to say of nothing', () => {
    expect(grouped(report())).toEqual([]);
  });
});

describe('progress and warning', () => {
  it('shows how far something idle is, and nothing for what is active', () => {
    expect(progress(resource({}), NOW)).toBe(0.5);
    expect(progress(resource({ idle_since: at(-600) }), NOW)).toBe(1);
    expect(progress(resource({ idle_since: null, due_at: null }), NOW)).toBeNull();
  });

  it('warns from warn_at on', () => {
    expect(warning(resource({}), NOW)).toBeNull();
    expect(warning(resource({ warn_at: at(-1), due_at: at(4) }), NOW)).toBe(4 * MINUTE);
    expect(warning(resource({ warn_at: at(-9), due_at: at(-4) }), NOW)).toBe(0);
  });

  it('names the next that goes', () => {
    const later = resource({ id: 'later', warn_at: at(-1), due_at: at(4) });
    const sooner = resource({ id: 'sooner', warn_at: at(-1), due_at: at(2) });
    expect(nextDue(report(resource({}), later, sooner), NOW)?.id).toBe('sooner');
    expect(nextDue(report(resource({})), NOW)).toBeNull();
  });
});

describe('words', () => {
  it('titles things as people know them', () => {
    expect(title(resource({ paths: ['a/b/train.ipynb'] }))).toBe('train.ipynb');
    expect(title(resource({}))).toBe('python3');
    expect(title(resource({ kind: 'terminal', id: '1', name: '1' }))).toBe('terminal 1');
    expect(title(resource({ kind: 'terminal', id: 'arn:x__1__ml.t3.medium' }))).toBe(
      'image terminal'
    );
  });

  it('offers what the administrator allows', () => {
    expect(keepChoices(1440)).toEqual([1, 4, 8, 24]);
    expect(keepChoices(300)).toEqual([1, 4]);
    expect(keepChoices(30)).toEqual([0.5]);
  });
});
