/** Values with which a test begins. Each test names only the values that differ. */

import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import type { IState } from '../behaviour/poller';
import { namesOf } from '../model/names';
import type { IContext } from '../model/sentences';
import type { IOutcome, IReport, IResource, IStoppedEntry } from '../model/types';
import type { IActions } from '../view/props';
import type { ISource } from '../view/source';

export const NOW = Date.parse('2026-11-24T12:00:00.000Z');
export const MINUTE = 60_000;

export function at(minutes: number): string {
  return new Date(NOW + minutes * MINUTE).toISOString();
}

export function resource(more: Partial<IResource>): IResource {
  return {
    kind: 'kernel',
    id: 'k',
    name: 'python3',
    app: null,
    paths: [],
    state: 'idle',
    state_since: at(-60),
    instance_type: null,
    action: 'keep',
    reason: 'recent-activity',
    detail: 'Idle.',
    parameters: {},
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

/** A resource in use: it has no idle time and no time of removal. */
export function active(reason: string, more: Partial<IResource> = {}): IResource {
  return resource({ reason, idle_since: null, warn_at: null, due_at: null, ...more });
}

export const APP = resource({
  kind: 'app',
  id: 'KernelGateway/a',
  name: 'pytorch-1-8-ml-g5-xlarge-bb1b683322cc11dd9988bb1b6833',
  state: 'InService',
  instance_type: 'ml.g5.xlarge',
  billing: true
});

export function outcome(more: Partial<IOutcome>): IOutcome {
  return {
    at: at(0),
    kind: 'kernel',
    id: 'k',
    outcome: 'removed',
    reason: 'idle',
    detail: 'Idle 2 h of 2 h.',
    name: 'python3',
    paths: ['work/train.ipynb'],
    app: null,
    rule: 'idle_timeout_minutes',
    idle_since: at(-120),
    ...more
  };
}

/** A stopped kernel that can be brought back. */
export function entry(more: Partial<IStoppedEntry>): IStoppedEntry {
  return {
    id: 'e1',
    stop: at(-60),
    at: at(-60),
    kind: 'kernel',
    resource: 'k',
    name: 'python3',
    kernel_name: 'python3',
    paths: ['work/train.ipynb'],
    instance_type: null,
    directory: '/home/work',
    ends_server: false,
    cells: 3,
    complete: true,
    ...more
  };
}

export function report(...resources: IResource[]): IReport {
  return {
    version: 1,
    now: at(0),
    platform: { kind: 'studio-classic' },
    health: {
      state: 'ok',
      armed: true,
      last_pass: at(-1),
      last_ok_pass: at(-1),
      next_pass: at(0.5),
      unsignalled_changes: 0,
      faults: []
    },
    policy: {
      enabled: true,
      idle_timeout_minutes: 120,
      kernel_idle_timeout_minutes: null,
      terminal_idle_timeout_minutes: null,
      app_idle_timeout_minutes: null,
      warn_minutes: 5,
      keep_terminals: false,
      protect_connected: false,
      rules: [],
      dry_run: false,
      only_when_it_saves: false,
      remember_stopped: true,
      locked: [],
      limits: {
        min_idle_timeout_minutes: 10,
        max_idle_timeout_minutes: 480,
        max_keep_alive_minutes: 1440
      }
    },
    resources,
    keep_alive: [],
    outcomes: [],
    savings: {
      since: at(-60 * 24 * 10),
      instance_hours: 0,
      usd: 0,
      unpriced_hours: 0,
      priced_as_of: '2026-09',
      days: [],
      usd_per_hour: { 'ml.g5.xlarge': 1.41 }
    }
  };
}

/** A source whose value does not change. */
export function still<T>(value: T): ISource<T> {
  return { value, changed: new Signal<object, void>({}) };
}

const nothing = (): void => undefined;
/** A panel in which no action has an effect. */
export const ACTIONS: IActions = {
  keep: nothing,
  keepAll: nothing,
  remove: nothing,
  stopNow: nothing,
  bringBack: nothing,
  runAgain: nothing,
  dismissOffer: nothing,
  removeIdle: nothing,
  check: nothing,
  change: async () => undefined,
  released: async () => undefined,
  showSettings: nothing,
  help: nothing,
  preferences: null,
  visit: nothing,
  opener: () => nothing,
  look: nothing
};

/** The context of the sentences on the resources of a report. */
export function context(currentReport: IReport, more: Partial<IContext> = {}): IContext {
  const trans = nullTranslator.load('');
  const names = namesOf(currentReport.resources, trans);
  return { report: currentReport, names, answered: true, now: NOW, trans, ...more };
}

/** The state of a poller that has received this report. */
export function state(currentReport: IReport | null, more: Partial<IState> = {}): IState {
  return { report: currentReport, error: null, remedy: '', status: 200, quiet: false, ...more };
}
