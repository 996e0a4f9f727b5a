import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { instanceSentence, instanceWords } from '../model/instancesentences';
import { countdown, health } from '../model/phrases';
import { grouped } from '../model/report';
import { explain } from '../model/sentences';
import type { IReport } from '../model/types';
import { APP, NOW, active, at, context, report, resource, state } from './given';

const trans = nullTranslator.load('');

describe('the texts of a billed instance', () => {
  const train = { paths: ['train.ipynb'], app: APP.id };
  const inUse = active('in-use', { ...APP, reason: 'in-use', idle_since: null, due_at: null });

  function texts(currentReport: IReport): [string, string] {
    const [instance] = grouped(currentReport.resources);
    return [
      instanceWords(instance, context(currentReport)),
      instanceSentence(instance, context(currentReport))
    ];
  }

  it('name the cell that has to end before the instance stops', () => {
    expect(texts(report(inUse, active('busy', train)))).toEqual([
      'in use',
      "Stops when train.ipynb's cell has ended and nobody has used it for 2 h."
    ]);
  });

  it('show the idle time if every kernel is idle', () => {
    expect(texts(report(APP, resource(train)))).toEqual([
      'idle 1 h / 2 h',
      'Stops when nobody has used it for another 1 h.'
    ]);
  });

  it('show a clock time only during the warning', () => {
    expect(texts(report({ ...APP, warn_at: at(-1), due_at: at(4) }))[0]).toMatch(/^stops at /);
  });

  it('explain why the instance does not stop by itself', () => {
    const canvas = active('not-covered', { ...APP, reason: 'not-covered', name: 'canvas' });
    const foreign = report({ ...canvas, idle_since: null, due_at: null });
    expect(texts(foreign)[1]).toContain('canvas is never stopped from here');
    expect(texts(report({ ...APP, state: 'Deleting' }))[1]).toContain('SageMaker deletes it');
    const kept = resource({ ...train, kept_until: at(240) });
    expect(texts(report(APP, kept))[1]).toContain('train.ipynb is no longer kept');
  });

  const due = { ...APP, warn_at: at(-1), due_at: at(4) };
  const cannot = (currentReport: IReport): void => {
    currentReport.health.state = 'failing';
    currentReport.health.faults = [
      { source: 'cycle', code: 'X', message: 'A pass failed.', remedy: '', since: at(-9) }
    ];
  };
  it.each([
    ['dry run', (currentReport: IReport) => void (currentReport.policy.dry_run = true)],
    ['disabled', (currentReport: IReport) => void (currentReport.policy.enabled = false)],
    ['failing', cannot],
    ['not armed', (currentReport: IReport) => void (currentReport.health.armed = false)]
  ])('announce no stop: %s', (_, change) => {
    const currentReport = report(due, resource({ ...train, warn_at: at(-1), due_at: at(4) }));
    change(currentReport);
    const words = [
      ...texts(currentReport),
      ...currentReport.resources.map(r => explain(r, context(currentReport)).join(' '))
    ];
    expect(words.join(' ')).not.toMatch(/\b[Ss]tops (at|when|in)/);
    expect(countdown(currentReport, NOW, trans)).toBeNull();
  });

  it.each(['cycle', 'settings', 'stop-switch'])('name what prevents every stop: %s', source => {
    const currentReport = report(due, resource({ ...train, warn_at: at(-1), due_at: at(4) }));
    Object.assign(currentReport.health, { state: 'failing', armed: false });
    currentReport.health.faults = [
      { source, code: 'X', message: 'The reason.', remedy: '', since: at(-9) }
    ];
    expect(health(state(currentReport), trans)).toBe('Nothing is stopped at the moment:');
    expect(texts(currentReport)[1]).toBe('It cannot be stopped: The reason.');
    for (const row of currentReport.resources) {
      const words = explain(row, context(currentReport)).join(' ');
      expect(words).toContain('It cannot be stopped: The reason.');
    }
  });

  it('know the same sources of such faults as the server', () => {
    const faults = readFileSync(
      resolve(__dirname, '..', '..', '..', 'auto_shutdown', 'core', 'faults.py'),
      'utf8'
    );
    const [, names = ''] = /STOPS_ALL = frozenset\(\{(.+?)\}\)/.exec(faults) ?? [];
    expect([...names.matchAll(/"(.+?)"/g)].map(match => match[1]).sort()).toEqual([
      'cycle',
      'settings',
      'stop-switch'
    ]);
  });

  it('blame a resource for no fault of another one whose name ends alike', () => {
    const terminal = resource({ kind: 'terminal', id: '1', warn_at: at(-1), due_at: at(4) });
    const currentReport = report(terminal);
    for (const source of ['connection of kernel a-1', 'terminal 11', 'shutdown of kernel 1']) {
      currentReport.health.faults = [
        { source, code: 'X', message: 'The reason.', remedy: '', since: at(-9) }
      ];
      expect(explain(terminal, context(currentReport)).join(' ')).toContain('It stops at');
    }
    currentReport.health.faults[0].source = 'shutdown of terminal 1';
    expect(explain(terminal, context(currentReport)).join(' ')).toContain('cannot be stopped');
  });

  it.each([
    ['disabled', {}, 'not watched'],
    ['unknown', { case: 'inside' }, 'activity not known'],
    ['background-work', {}, 'working in the background'],
    ['not-in-service', {}, 'starting'],
    ['in-use', {}, 'in use']
  ])('say no more of an instance than is known of its app: %s', (reason, parameters, words) => {
    const app = active(reason, { ...APP, reason, parameters, state: 'Pending' });
    const row = { ...app, idle_since: null, warn_at: null, due_at: null };
    expect(texts(report(row))[0]).toBe(words);
  });

  it('say that a permission is missing for the app, and that the kernel stops', () => {
    const inside = resource({ ...train, warn_at: at(-1), due_at: at(4) });
    const currentReport = report(due, inside);
    currentReport.health.state = 'failing';
    currentReport.health.faults = [
      { source: 'apps', code: 'X', message: 'The role lacks it.', remedy: '', since: at(-9) }
    ];
    expect(texts(currentReport)[1]).toBe('It cannot be stopped: The role lacks it.');
    expect(explain(inside, context(currentReport)).join(' ')).toContain('It stops at');
  });

  it('announce no stop while the server does not answer', () => {
    const currentReport = report(due);
    expect(explain(due, context(currentReport, { answered: false })).join(' ')).not.toContain(
      'stop at'
    );
    expect(explain(due, context(currentReport)).join(' ')).toContain('It stops at');
  });
});
