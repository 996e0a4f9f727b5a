import type { IFault, IHold, IPolicy, IReport, IResource } from './types';

/** One instance type: the apps on it, each with the kernels and terminals in it. */
export interface IInstance {
  /** Empty for resources in the server's own host. */
  type: string;
  apps: { app: IResource | null; inside: IResource[] }[];
}

/** The resources by instance type, then by app. Billed instances come first. */
export function grouped(resources: IResource[]): IInstance[] {
  const apps = resources.filter(r => r.kind === 'app' && r.state !== 'Deleted');
  const known = new Set(apps.map(app => app.id));
  const tenants = resources.filter(r => r.kind !== 'app');
  const instances = new Map<string, IInstance>();
  for (const app of apps) {
    const type = app.instance_type ?? '';
    const key = `${type}/${app.billing}`;
    const instance = instances.get(key) ?? { type, apps: [] };
    instance.apps.push({ app, inside: tenants.filter(r => r.app === app.id) });
    instances.set(key, instance);
  }
  const all = [...instances.values()];
  all.sort((one, other) => Number(billed(other)) - Number(billed(one)));
  const free = tenants.filter(r => r.app === null || !known.has(r.app));
  if (free.length > 0) {
    all.push({ type: '', apps: [{ app: null, inside: free }] });
  }
  return all;
}

export function billed(instance: IInstance): boolean {
  return instance.apps.some(({ app }) => app?.billing ?? false);
}

/** The code of a list that has not arrived yet. */
export const NOT_LISTED_YET = 'NotListedYet';

/**
 * The kernels and terminals that may run in a billed app that is not in the list: it is newer than
 * the list, or the list has not arrived.
 */
export function unplaced({ resources }: IReport): IResource[] {
  const listed = new Set(resources.filter(r => r.kind === 'app').map(app => app.id));
  return resources.filter(
    r => r.kind !== 'app' && (r.app_known === false || (r.app !== null && !listed.has(r.app)))
  );
}

/** All resources of an instance: its apps, and the kernels and terminals in them. */
export function membersOf(instance: IInstance): IResource[] {
  return instance.apps.flatMap(({ app, inside }) => (app === null ? inside : [app, ...inside]));
}

export type Order = 'place' | 'name' | 'soonest';

/** With at least this many kernels and terminals, the panel offers to filter and sort. */
export const MANY = 10;

/**
 * The resources whose name, path, app, image or instance type contains `text`, each with the app
 * that it runs in, in the order asked for.
 */
export function selected(resources: IResource[], text: string, order: Order): IResource[] {
  const wanted = text.trim().toLowerCase();
  const matches = (r: IResource): boolean =>
    [r.name, r.id, r.instance_type ?? '', ...r.paths].some(part =>
      part.toLowerCase().includes(wanted)
    );
  const direct = resources.filter(matches);
  const apps = new Set(direct.map(r => r.app));
  const whole = new Set(direct.filter(r => r.kind === 'app').map(r => r.id));
  const shown =
    wanted === ''
      ? [...resources]
      : resources.filter(
          r =>
            direct.includes(r) ||
            (r.kind === 'app' && apps.has(r.id)) ||
            (r.app !== null && whole.has(r.app))
        );
  if (order === 'name') {
    const name = (r: IResource): string => r.paths[0]?.split('/').pop() ?? r.name;
    shown.sort((a, b) => name(a).localeCompare(name(b)));
  } else if (order === 'soonest') {
    const due = (r: IResource): number => (r.due_at === null ? Infinity : Date.parse(r.due_at));
    shown.sort((a, b) => (due(a) === due(b) ? 0 : due(a) - due(b)));
  }
  return shown;
}

/** Reasons under which a resource only waits for its idle timeout. */
const IDLE_REASONS = ['recent-activity', 'presence', 'grace', 'backing-off', 'idle', 'app-removed'];

/** The idle resources for "Shut down idle…". An idle app stands for everything in it. */
export function idleNow(report: IReport): IResource[] {
  const idle = report.resources.filter(
    r => r.idle_since !== null && r.due_at !== null && IDLE_REASONS.includes(r.reason)
  );
  return keepers(idle);
}

/** What happens to a resource at its deadline: `stops`, or why it is not removed. */
export type Mode = 'stops' | 'dry-run' | 'off' | 'blocked' | 'unknown';

/** The sources of the faults that prevent every removal (STOPS_ALL in core/faults.py), and that of
 * every kernel. */
const GENERAL_SOURCES = ['cycle', 'settings', 'stop-switch', 'kernels'];

/** The fault that prevents the removal of this resource, if there is one. */
export function blockingFault(resource: IResource, report: IReport): IFault | null {
  const { faults, state } = report.health;
  const own = faults.find(f => f.source.endsWith(`${resource.kind} ${resource.id}`));
  if (own !== undefined) {
    return own;
  }
  if (state !== 'failing') {
    return null;
  }
  return (
    faults.find(
      f =>
        GENERAL_SOURCES.includes(f.source) ||
        (resource.kind === 'app' && /^(apps?\b|sagemaker)/.test(f.source))
    ) ?? null
  );
}

/** Whether this resource is removed when it is due; `answered`: the server answered last. */
export function modeOf(resource: IResource, report: IReport, answered: boolean): Mode {
  if (!answered) {
    return 'unknown';
  }
  if (!report.policy.enabled) {
    return 'off';
  }
  if (report.policy.dry_run) {
    return 'dry-run';
  }
  if (resource.reason === 'backing-off' || blockingFault(resource, report) !== null) {
    return 'blocked';
  }
  return report.health.armed ? 'stops' : 'blocked';
}

/**
 * Whether the resource is idle and its deadline is set. The deadline does not count while a hook
 * objects, and once the removal has begun.
 */
export function onTheClock(resource: IResource): boolean {
  return resource.idle_since !== null && resource.due_at !== null && !ignoresDeadline(resource);
}

function ignoresDeadline({ reason }: IResource): boolean {
  return reason === 'vetoed' || reason === 'shutting-down';
}

/** Whether the resource is busy, but has shown no sign of work for a long time. */
export function isSuspect({ reason }: IResource): boolean {
  return reason === 'suspect-busy' || reason === 'max-busy';
}

/** Whether a suspect resource has used the processor, but only a little. */
export function usesLittle({ parameters }: IResource): boolean {
  return parameters.case === 'low-use' || parameters.case === 'host-use';
}

/** The part of the idle timeout that has passed, from 0 to 1; null for an active resource. */
export function progress(resource: IResource, now: number): number | null {
  if (!onTheClock(resource)) {
    return null;
  }
  const limit = resource.limit_minutes * 60_000;
  return Math.min(1, Math.max(0, (now - Date.parse(resource.idle_since ?? '')) / limit));
}

/** Milliseconds until the removal, from its notice on; null before the notice. */
export function warning(resource: IResource, now: number): number | null {
  const { warn_at, due_at } = resource;
  if (warn_at === null || due_at === null || ignoresDeadline(resource)) {
    return null;
  }
  if (Date.parse(warn_at) > now) {
    return null;
  }
  return Math.max(0, Date.parse(due_at) - now);
}

/** Whether Auto Shutdown removes resources: it is switched on and not in a dry run. */
export function armed(report: IReport): boolean {
  return report.policy.enabled && !report.policy.dry_run;
}

/** The resources whose notice has begun and that will be removed, the soonest first. */
export function announced(report: IReport, now: number): IResource[] {
  if (!armed(report)) {
    return [];
  }
  const due = report.resources.filter(
    r => warning(r, now) !== null && modeOf(r, report, true) === 'stops'
  );
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

/** Group resources that stop within the same minute: they share one notice. */
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

/** The resources to keep or remove for all of these: an app stands for everything in it. */
export function keepers(resources: IResource[]): IResource[] {
  const apps = new Set(resources.filter(r => r.kind === 'app').map(r => r.id));
  return resources.filter(r => r.app === null || !apps.has(r.app));
}

/**
 * The keep-alive of this resource that ends last: its own, that of its app, or that of
 * everything.
 */
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

/** The lengths of a keep-alive to choose from, in hours, up to the limit of the administrator. */
export function keepChoices(mostMinutes: number): number[] {
  const hours = [1, 4, 8].filter(h => h * 60 <= mostMinutes);
  return hours.length > 0 ? hours : [mostMinutes / 60];
}

/** Minutes from now to the next `HH:MM`; null if the text is not a time of day. */
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

/** A text that changes when the panel would show the report differently. */
export function digest(report: IReport): string {
  const { resources, policy, keep_alive, outcomes, unread } = report;
  const seen = resources.map(r => [
    r.id,
    r.app,
    r.reason,
    r.state,
    r.state_since,
    r.parameters,
    r.idle_since,
    r.warn_at,
    r.due_at,
    r.kept_until
  ]);
  const { state, faults } = report.health;
  const programs = (report.programs ?? []).map(p => [p.id, p.name, p.reason]);
  const lists = [policy, keep_alive, outcomes.length, unread];
  return JSON.stringify([seen, programs, lists, state, faults]);
}

/** Whether `other` has different values for the settings in `one`. */
export function settingsDiffer(one: Partial<IPolicy>, other: Partial<IPolicy>): boolean {
  const names = Object.keys(one) as (keyof IPolicy)[];
  return names.some(name => JSON.stringify(one[name]) !== JSON.stringify(other[name]));
}
