import type { IHold, IOutcome, IPolicy, IReport, IResource } from './types';

export interface IInstance {
  /** Empty for what runs in the server's own host. */
  type: string;
  apps: { app: IResource | null; inside: IResource[] }[];
}

/** Instance type, then app, then what runs in it; what is billed first, as the server lists it. */
export function grouped(report: IReport): IInstance[] {
  const apps = report.resources.filter(r => r.kind === 'app' && r.state !== 'Deleted');
  const known = new Set(apps.map(app => app.id));
  const tenants = report.resources.filter(r => r.kind !== 'app');
  const instances = new Map<string, IInstance>();
  for (const app of apps) {
    const type = app.instance_type ?? '';
    const key = `${type}/${app.billing}`;
    const instance = instances.get(key) ?? { type, apps: [] };
    instance.apps.push({ app, inside: tenants.filter(r => r.app === app.id) });
    instances.set(key, instance);
  }
  const found = [...instances.values()];
  found.sort((one, other) => Number(billed(other)) - Number(billed(one)));
  const free = tenants.filter(r => r.app === null || !known.has(r.app));
  if (free.length > 0) {
    found.push({ type: '', apps: [{ app: null, inside: free }] });
  }
  return found;
}

export function billed(instance: IInstance): boolean {
  return instance.apps.some(({ app }) => app?.billing ?? false);
}

/** How far something idle is on its way, between 0 and 1; null for what is active. */
export function progress(resource: IResource, now: number): number | null {
  if (resource.idle_since === null || resource.due_at === null) {
    return null;
  }
  const limit = resource.limit_minutes * 60_000;
  return Math.min(1, Math.max(0, (now - Date.parse(resource.idle_since)) / limit));
}

/** Milliseconds until it is removed, once that has been announced; null before. */
export function warning(resource: IResource, now: number): number | null {
  if (resource.warn_at === null || resource.due_at === null || Date.parse(resource.warn_at) > now) {
    return null;
  }
  return Math.max(0, Date.parse(resource.due_at) - now);
}

/** Whether what is due is really removed, rather than only reported. */
export function armed(report: IReport): boolean {
  return report.policy.enabled && !report.policy.dry_run;
}

/** What has been announced, the soonest first; nothing in a dry run. */
export function announced(report: IReport, now: number): IResource[] {
  if (!armed(report)) {
    return [];
  }
  const due = report.resources.filter(r => warning(r, now) !== null);
  return due.sort((a, b) => Date.parse(a.due_at ?? '') - Date.parse(b.due_at ?? ''));
}

/** Milliseconds until the next announcement or removal that is still ahead; null: none is. */
export function nextMoment(report: IReport, now: number): number | null {
  const moments = report.resources
    .flatMap(r => [r.warn_at, r.due_at])
    .map(at => (at === null ? 0 : Date.parse(at) - now))
    .filter(left => left > 0);
  return moments.length > 0 ? Math.min(...moments) : null;
}

/** What is due within a minute of each other is one deadline, told in one sentence. */
export function deadlines(due: IResource[]): IResource[][] {
  const found: IResource[][] = [];
  let ends = -Infinity;
  for (const resource of due) {
    const at = Date.parse(resource.due_at ?? '');
    if (at > ends) {
      found.push([]);
      ends = at + 60_000;
    }
    found[found.length - 1].push(resource);
  }
  return found;
}

/** What has to be kept so that all of these are: an app, and not what runs in it, too. */
export function keepers(resources: IResource[]): IResource[] {
  const apps = new Set(resources.filter(r => r.kind === 'app').map(r => r.id));
  return resources.filter(r => r.app === null || !apps.has(r.app));
}

/** The hold that keeps this one longest: its own, its app's, or that on everything. */
export function holdOf(resource: IResource, holds: IHold[]): IHold | null {
  const found = holds.filter(
    hold =>
      hold.kind === 'all' ||
      (hold.kind === resource.kind && hold.id === resource.id) ||
      (hold.kind === 'app' && hold.id === resource.app)
  );
  found.sort((a, b) => Date.parse(b.kept_until) - Date.parse(a.kept_until));
  return found[0] ?? null;
}

/** What a keep-alive may be, in hours, up to what the administrator allows. */
export function keepChoices(mostMinutes: number): number[] {
  const hours = [1, 4, 8].filter(h => h * 60 <= mostMinutes);
  return hours.length > 0 ? hours : [mostMinutes / 60];
}

/** Minutes from now to the next time that a clock shows `HH:MM`; null when that is no time. */
export function minutesUntil(time: string, now: number): number | null {
  const match = /^(\d{1,2}):(\d{2})$/.exec(time);
  if (match === null) {
    return null;
  }
  const at = new Date(now);
  at.setHours(Number(match[1]), Number(match[2]), 0, 0);
  if (at.getTime() <= now) {
    at.setDate(at.getDate() + 1);
  }
  return (at.getTime() - now) / 60_000;
}

/** What has been removed, newest first: what the server tells, and what its log had before. */
export function removals(outcomes: IOutcome[], history: IOutcome[]): IOutcome[] {
  const key = (o: IOutcome): string => `${o.at} ${o.kind} ${o.id}`;
  const told = new Set(outcomes.map(key));
  const all = [...outcomes, ...history.filter(o => !told.has(key(o)))];
  return all.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

/** What the app of a removed kernel came to, where it went with it. */
export function appOf(outcome: IOutcome, all: IOutcome[]): IOutcome | null {
  const at = Date.parse(outcome.at);
  const found = all.find(
    o =>
      o.kind === 'app' &&
      o.id === outcome.app &&
      ended(o) &&
      Math.abs(Date.parse(o.at) - at) < 10 * 60_000
  );
  return found ?? null;
}

/** Whether it is no longer there because of it. */
export function ended(outcome: IOutcome): boolean {
  return outcome.outcome === 'removed' || outcome.outcome === 'gone';
}

/** What of a report says whether anything has changed; the times of its passes do not. */
export function digest(report: IReport): string {
  const { resources, policy, keep_alive, outcomes } = report;
  const seen = resources.map(r => [
    r.id,
    r.reason,
    r.idle_since,
    r.warn_at,
    r.due_at,
    r.kept_until
  ]);
  const { state, faults } = report.health;
  return JSON.stringify([seen, policy, keep_alive, outcomes.length, state, faults]);
}

/** Whether two policies would be told in different words. */
export function settingsDiffer(one: Partial<IPolicy>, other: Partial<IPolicy>): boolean {
  const names = Object.keys(one) as (keyof IPolicy)[];
  return names.some(name => JSON.stringify(one[name]) !== JSON.stringify(other[name]));
}

/** A path without the drive that real-time collaboration puts before it. */
export function localPath(path: string): string {
  return path.replace(/^[^/]*:/, '');
}

/** What is older than this is no news any more. */
const NEWS = 7 * 86_400_000;

export type Telling = 'stopped' | 'new-kernel' | null;

/**
 * Whether a document tells of the end of its kernel: it has none since (or the host has not noticed
 * yet), or it was opened again and got a new one, in which the old variables are missed.
 */
export function telling(
  outcome: IOutcome,
  kernel: string | null,
  ready: boolean,
  shown: Telling,
  now: number
): Telling {
  if (kernel === outcome.id) {
    return 'stopped';
  }
  if (kernel === null) {
    return ready ? 'stopped' : shown;
  }
  // A new kernel, by the button or otherwise, answers the message that was there.
  if (shown === 'stopped' || now - Date.parse(outcome.at) > NEWS) {
    return null;
  }
  return 'new-kernel';
}

/** The newest end of a kernel of this document that was ours. */
export function endOf(path: string, all: IOutcome[]): IOutcome | null {
  const found = all.find(
    o => o.kind === 'kernel' && o.outcome === 'removed' && o.paths.map(localPath).includes(path)
  );
  return found ?? null;
}
