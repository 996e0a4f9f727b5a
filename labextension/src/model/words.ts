import type { TranslationBundle } from '@jupyterlab/translation';

import { clock, duration } from './durations';
import { announced, armed, warning } from './report';
import type { IInstance } from './report';
import type { IState } from './state';
import type { IReport, IResource } from './types';

/** What people call it. */
export function title(
  resource: Pick<IResource, 'kind' | 'id' | 'name' | 'paths'>,
  trans: TranslationBundle
): string {
  if (resource.kind === 'terminal') {
    const image = resource.id.startsWith('arn:');
    return image ? trans.__('image terminal') : trans.__('terminal %1', resource.name);
  }
  if (resource.kind === 'app') {
    // Studio's names are image, instance type and a hash; the type stands above it already.
    return resource.name.replace(/-ml-[a-z0-9]+-[a-z0-9-]+-[0-9a-f]{20,}$/, '') || resource.id;
  }
  const path = resource.paths[0];
  return path ? (path.split('/').pop() ?? path) : resource.name || resource.id;
}

/** The one line of health. */
export function health(state: IState, now: number, trans: TranslationBundle): string {
  const { report } = state;
  if (state.error !== null) {
    return unanswered(state, trans);
  }
  if (report === null) {
    return trans.__('Asking the server…');
  }
  switch (report.health.state) {
    case 'disabled':
      return trans.__('Switched off: nothing is removed.');
    case 'failing':
      return trans.__('Something that should be removed cannot be:');
    case 'degraded':
      return trans.__('Watching, but something does not work:');
  }
  const pause = report.health.next_pass === null ? 0 : Date.parse(report.health.next_pass) - now;
  const next = pause < 1000 ? '' : ' ' + trans.__('Next check in %1.', duration(pause));
  const dry = report.policy.dry_run;
  return (dry ? trans.__('Dry run: nothing is removed.') : trans.__('Watching.')) + next;
}

function unanswered({ status, error, report, quiet }: IState, trans: TranslationBundle): string {
  switch (status) {
    case 401:
    case 403:
      return trans.__('You are no longer logged in, or may not see this. Reload the page.');
    case 404:
      return trans.__(
        'The server part of Auto Shutdown does not run here, and nothing is removed. See ' +
          '"jupyter server extension list" and the log of the server.'
      );
    case 503:
      return trans.__('Starting, or could not start. (%1)', error);
  }
  const seen = report === null ? '' : ' ' + trans.__('What you see is of %1.', clock(report.now));
  const next = quiet
    ? trans.__('It is no longer asked; Check now asks again.')
    : trans.__('It is asked again by itself.');
  return `${trans.__('The server does not answer.')}${seen} ${next}`;
}

/** What one resource does, in a few words; the whole sentence is one click away. */
export function doing(resource: IResource, now: number, trans: TranslationBundle): string {
  const soon = warning(resource, now);
  if (resource.kept_until !== null && soon === null) {
    return trans.__('kept until %1', clock(resource.kept_until, now));
  }
  if (resource.idle_since === null || resource.due_at === null) {
    return active(resource, now, trans);
  }
  const limit = duration(resource.limit_minutes * 60_000);
  return trans.__('idle %1 of %2', duration(now - Date.parse(resource.idle_since)), limit);
}

function active(resource: IResource, now: number, trans: TranslationBundle): string {
  const since = resource.state_since === null ? null : now - Date.parse(resource.state_since);
  const job = /^Running (.+)\.$/.exec(resource.detail);
  switch (resource.reason) {
    case 'busy':
      return since === null
        ? trans.__('running a cell')
        : trans.__('running a cell, %1', duration(since));
    case 'suspect-busy':
      return trans.__('busy, but still');
    case 'running-job':
      return job !== null && resource.kind === 'terminal'
        ? trans.__('running %1', job[1])
        : trans.__('running a command');
    case 'background-work':
      return trans.__('at work');
    case 'in-use':
      return resource.kind === 'terminal' ? trans.__('follows its app') : trans.__('in use');
    case 'terminal-open':
      return trans.__('kept open');
    case 'connected':
      return trans.__('connected');
    case 'grace':
      return trans.__('starting');
    case 'vetoed':
      return trans.__('objected to');
    case 'not-in-service':
      return resource.state.toLowerCase();
    case 'not-covered':
      return trans.__('not covered');
    case 'unknown':
      return trans.__('cannot be told');
    case 'disabled':
      return trans.__('switched off');
    default:
      return resource.reason;
  }
}

/** By which rule, in words. */
export function ruleName(rule: string | null, trans: TranslationBundle): string {
  const numbered = /^rules\[(\d+)\]$/.exec(rule ?? '');
  if (numbered !== null) {
    return trans.__('rule %1', Number(numbered[1]) + 1);
  }
  switch (rule) {
    case 'kernel_idle_timeout_minutes':
      return trans.__('the limit for kernels');
    case 'terminal_idle_timeout_minutes':
      return trans.__('the limit for terminals');
    case 'app_idle_timeout_minutes':
      return trans.__('the limit for apps');
    case 'cull_idle_timeout':
      return trans.__('the limit of its kernelspec');
    case 'max_busy_minutes':
      return trans.__("the administrator's limit for what hangs");
    case 'request':
      return trans.__('somebody asked for it');
    default:
      return trans.__('the general limit');
  }
}

/** What a billed instance needs to become idle, and so to end. */
export function needs(instance: IInstance, now: number, trans: TranslationBundle): string {
  const apps = instance.apps.flatMap(({ app }) => (app === null ? [] : [app]));
  const all = [...apps, ...instance.apps.flatMap(({ inside }) => inside)];
  if (apps.every(app => app.state === 'Deleting')) {
    return trans.__('Being deleted; billed until that is done.');
  }
  const foreign = apps.find(app => app.reason === 'not-covered');
  if (foreign !== undefined) {
    const name = title(foreign, trans);
    return trans.__('Stays: %1 is never removed from here. Stop it yourself.', name);
  }
  if (all.some(r => r.reason === 'disabled')) {
    return trans.__('Stays as long as Auto Shutdown is switched off.');
  }
  const obstacles = all.flatMap(r => obstacle(r, now, trans));
  if (obstacles.length > 0) {
    const limit = duration(Math.max(...all.map(r => r.limit_minutes)) * 60_000);
    const shown = obstacles.slice(0, 3).join(', ') + (obstacles.length > 3 ? ', …' : '');
    return trans.__('To become idle: %1; then %2 without activity.', shown, limit);
  }
  const due = Math.max(...apps.map(app => (app.due_at === null ? 0 : Date.parse(app.due_at))));
  if (apps.some(app => app.due_at === null) || due <= now) {
    return trans.__('About to be looked at again.');
  }
  if (apps.every(app => warning(app, now) !== null)) {
    return trans.__('Stops at %1, unless it is used.', clock(due, now));
  }
  return trans.__('To become idle: %1 more without activity.', duration(due - now));
}

/** What has to happen before this one can be idle at all; nothing where only time has to pass. */
function obstacle(resource: IResource, now: number, trans: TranslationBundle): string[] {
  const name = title(resource, trans);
  if (resource.kept_until !== null && warning(resource, now) === null) {
    return [trans.__('%1 is kept until %2', name, clock(resource.kept_until, now))];
  }
  if (
    resource.kind === 'app' &&
    ['in-use', 'running-job', 'terminal-open'].includes(resource.reason)
  ) {
    return []; // what runs in it says so itself
  }
  switch (resource.reason) {
    case 'busy':
    case 'suspect-busy':
      return [trans.__('%1 has to end its cell', name)];
    case 'running-job':
      return [trans.__('%1 has to end its command', name)];
    case 'background-work':
      return [trans.__('the work in the background of %1 has to end', name)];
    case 'terminal-open':
      return [trans.__('%1 has to be closed', name)];
    case 'connected':
      return [trans.__('the tab of %1 has to be closed', name)];
    case 'vetoed':
      return [trans.__('%1 must no longer be objected to', name)];
    case 'unknown':
      return [trans.__('%1 has to be readable again', name)];
    default:
      return [];
  }
}

/** What is announced, for the status bar and for those who cannot see it. */
export function countdown(report: IReport, now: number, trans: TranslationBundle): string | null {
  const [first] = announced(report, now);
  if (first === undefined || !armed(report)) {
    return null;
  }
  return trans.__('%1 stops in %2', title(first, trans), duration(warning(first, now) ?? 0));
}

/** One deadline: what, when, and why, within the 140 characters that a notification shows. */
export function announcement(due: IResource[], now: number, trans: TranslationBundle): string {
  const short = (r: IResource): string => {
    const name = title(r, trans);
    return name.length > 28 ? name.slice(0, 27) + '…' : name;
  };
  // What people remember is their notebooks; the app follows in the same breath.
  const order = ['kernel', 'terminal', 'app'];
  const sorted = [...due].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const [first, second, ...rest] = sorted;
  const at = clock(Math.min(...due.map(r => Date.parse(r.due_at ?? ''))), now);
  const why = doing({ ...first, kept_until: null }, now, trans);
  if (second === undefined) {
    return trans.__('%1 stops at %2: %3.', short(first), at, why);
  }
  const both = trans.__('%1 and %2', short(first), short(second));
  const names =
    rest.length === 0
      ? both
      : trans.__('%1, %2 and %3 more', short(first), short(second), rest.length);
  return trans.__('%1 stop at %2: %3.', names, at, why);
}
