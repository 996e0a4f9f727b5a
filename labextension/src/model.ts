import type { IReport, IResource } from './types';

/** `45 s`, `12 m`, `1 h 12 m`, `3 d 4 h`: as the server says durations. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600) % 24;
  const days = Math.floor(seconds / 86400);
  if (days > 0) {
    return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
  }
  if (hours > 0) {
    return minutes > 0 ? `${hours} h ${String(minutes).padStart(2, '0')} m` : `${hours} h`;
  }
  return `${minutes} m`;
}

export function clock(instant: string): string {
  return new Date(instant).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

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
    const instance = instances.get(type) ?? { type, apps: [] };
    instance.apps.push({ app, inside: tenants.filter(r => r.app === app.id) });
    instances.set(type, instance);
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

/** What is to be removed next of what has been announced. */
export function nextDue(report: IReport, now: number): IResource | null {
  const due = report.resources.filter(r => r.action === 'keep' && warning(r, now) !== null);
  due.sort((a, b) => Date.parse(a.due_at ?? '') - Date.parse(b.due_at ?? ''));
  return due[0] ?? null;
}

export function title(resource: IResource): string {
  if (resource.kind === 'terminal') {
    return resource.id.startsWith('arn:') ? 'image terminal' : `terminal ${resource.name}`;
  }
  const path = resource.paths[0];
  return path ? (path.split('/').pop() ?? path) : resource.name || resource.id;
}

/** What a keep-alive may be, in hours, up to what the administrator allows. */
export function keepChoices(mostMinutes: number): number[] {
  const hours = [1, 4, 8, 24].filter(h => h * 60 <= mostMinutes);
  return hours.length > 0 ? hours : [mostMinutes / 60];
}
