import type { TranslationBundle } from '@jupyterlab/translation';

import { clock, duration, limitText, unbroken } from './durations';
import { fullName, keyOf, namesOf, title } from './names';
import { announced, isSuspect, modeOf, onTheClock, usesLittle, warning } from './report';
import type { IState } from './state';
import type { IProgram, IReport, IResource } from './types';

/** The line at the top of the panel: whether Auto Shutdown works. */
export function health(state: IState, trans: TranslationBundle): string {
  const { report } = state;
  if (state.error !== null) {
    return unanswered(state, trans);
  }
  if (report === null) {
    return trans.__('Asking the server…');
  }
  switch (report.health.state) {
    case 'disabled':
      return trans.__('Switched off: nothing is stopped.');
    case 'failing':
      return report.health.armed
        ? trans.__('Something that should be stopped cannot be stopped:')
        : trans.__('Nothing is stopped at the moment:');
    case 'degraded':
      return trans.__('Watching, but something does not work:');
  }
  return report.policy.dry_run ? trans.__('Dry run: nothing is stopped.') : trans.__('Watching');
}

function unanswered(state: IState, trans: TranslationBundle): string {
  const { status, error, remedy, report, quiet } = state;
  switch (status) {
    case 401:
    case 403:
      return trans.__('You are no longer logged in, or may not see this. Reload the page.');
    case 404:
      return trans.__(
        'The server part of Auto Shutdown does not run here, so nothing is stopped. Run ' +
          '"jupyter server extension list" and read the log of the server.'
      );
    case 503:
      return [error, remedy].filter(text => text).join(' ');
  }
  const seen = report === null ? '' : ' ' + trans.__('This is the state at %1.', clock(report.now));
  const next = quiet
    ? trans.__('The panel has stopped asking; "Check now" asks again.')
    : trans.__('The panel asks again by itself.');
  return `${trans.__('The server does not answer.')}${seen} ${next}`;
}

/** `idle 1 h 40 m / 2 h`; of a suspect resource, which may be at work: `silent 9 h / 10 h` */
export function idleFor(resource: IResource, now: number, trans: TranslationBundle): string {
  const since = resource.idle_since === null ? now : Date.parse(resource.idle_since);
  const age = duration(now - since, trans);
  const limit = limitText(resource.limit_minutes, trans);
  return isSuspect(resource)
    ? trans.__('silent %1 / %2', age, limit)
    : trans.__('idle %1 / %2', age, limit);
}

/** The state of a resource in a few words, for its row. `explain` gives whole sentences. */
export function doing(resource: IResource, now: number, trans: TranslationBundle): string {
  const soon = warning(resource, now);
  if (resource.kept_until !== null && soon === null) {
    return trans.__('kept until %1', clock(resource.kept_until, now));
  }
  if (!onTheClock(resource)) {
    return active(resource, now, trans);
  }
  return idleFor(resource, now, trans);
}

function active(resource: IResource, now: number, trans: TranslationBundle): string {
  const { parameters, reason } = resource;
  switch (reason) {
    case 'busy':
      return busy(resource, now, trans);
    case 'suspect-busy':
      return usesLittle(resource)
        ? trans.__('hardly uses the processor')
        : trans.__('busy without a sign of work');
    case 'running-job':
      return parameters.command
        ? trans.__('running %1', parameters.command)
        : trans.__('running a command');
    case 'background-work':
      return trans.__('working in the background');
    case 'in-use':
      return resource.kind === 'terminal' ? trans.__('follows its app') : trans.__('in use');
    case 'saves-nothing':
      return trans.__('stopping saves nothing');
    case 'terminal-open':
      return trans.__('terminal open');
    case 'connected':
      return trans.__('open in a browser');
    case 'grace':
      return trans.__('starting');
    case 'vetoed':
      return trans.__('kept by %1', parameters.hook ?? '');
    case 'not-in-service':
      return status(resource.state, trans);
    case 'not-covered':
      return trans.__('never stopped from here');
    case 'unknown':
      return trans.__('activity not known');
    case 'disabled':
      return trans.__('not watched');
    case 'shutting-down':
      return trans.__('shutting down');
    default:
      return reason;
  }
}

/** The name of a program that is neither a kernel nor a terminal of this server. */
export function programName(program: IProgram, trans: TranslationBundle): string {
  if (program.kind === 'terminal') {
    return trans.__('%1 in %2', program.name, program.id);
  }
  return program.started_by === ''
    ? trans.__('kernel of another program')
    : trans.__('kernel of %1', program.started_by);
}

/** The state of such a program in a few words. */
export function programState(program: IProgram, trans: TranslationBundle): string {
  switch (program.reason) {
    case 'background-work':
      return program.kind === 'kernel'
        ? trans.__('running a cell')
        : trans.__('working in the background');
    case 'suspect-busy':
      return trans.__('busy without a sign of work');
    case 'idle':
      return trans.__('runs no cell');
    case 'max-busy':
      return trans.__('no longer keeps the app');
    default:
      return trans.__('activity not known');
  }
}

/** The status of an app. A status that is not translated is shown as SageMaker names it. */
function status(state: string, trans: TranslationBundle): string {
  switch (state) {
    case 'Pending':
      return trans.__('starting');
    case 'Deleting':
      return trans.__('being deleted');
    default:
      return state;
  }
}

function busy(resource: IResource, now: number, trans: TranslationBundle): string {
  switch (resource.parameters.case) {
    case 'input':
      return trans.__('waiting for input');
    case 'debugger':
      return trans.__('stopped in the debugger');
  }
  const since = resource.state_since === null ? null : now - Date.parse(resource.state_since);
  return since === null
    ? trans.__('running a cell')
    : trans.__('running %1', duration(since, trans));
}

/** The name of the setting that the idle timeout comes from. */
export function ruleName(rule: string | null, platform: string, trans: TranslationBundle): string {
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
      return platform === 'local'
        ? trans.__('the limit for busy kernels')
        : trans.__("the administrator's limit for busy kernels");
    case 'request':
      return trans.__('somebody asked for it');
    default:
      return trans.__('the general limit');
  }
}

/** The next announced stop, for the status bar: `eval.ipynb stops in 4 m`. */
export function countdown(report: IReport, now: number, trans: TranslationBundle): string | null {
  const [first] = announced(report, now);
  if (first === undefined) {
    return null;
  }
  const name = namesOf(report.resources, trans).get(keyOf(first));
  const words = name === undefined ? title(first, trans) : fullName(name);
  return trans.__('%1 stops in %2', words, duration(warning(first, now) ?? 0, trans));
}

/** Cut the end of a text that is longer than `most` characters. */
function short(text: string, most: number): string {
  return text.length > most ? text.slice(0, most - 1) + '…' : text;
}

/**
 * The notice before a stop: which resources, when and why. At most 140 characters, as many as a
 * notification shows.
 */
export function announcement(
  due: IResource[],
  all: IResource[],
  now: number,
  trans: TranslationBundle
): string {
  const names = namesOf(all, trans);
  const named = (r: IResource): string => {
    const name = names.get(keyOf(r)) ?? { title: title(r, trans), place: '' };
    return name.place === ''
      ? short(name.title, 28)
      : `${short(name.title, 18)} (${short(name.place, 12)})`;
  };
  // Users know their notebooks by name, so notebooks come before apps.
  const order = ['kernel', 'terminal', 'app'];
  const sorted = [...due].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const [first, second, ...rest] = sorted;
  const at = clock(Math.min(...due.map(r => Date.parse(r.due_at ?? ''))), now);
  const why = idleFor(first, now, trans);
  if (second === undefined) {
    return trans.__('%1 stops at %2: %3.', named(first), at, why);
  }
  const both = trans.__('%1 and %2', named(first), named(second));
  const subject =
    rest.length === 0
      ? both
      : trans.__('%1, %2 and %3 more', named(first), named(second), rest.length);
  return trans.__('%1 stop at %2: %3.', subject, at, why);
}

/**
 * What happens at `due_at`: the resource stops, would stop (dry run), or cannot be stopped.
 * Empty if unknown.
 */
export function stopWords(
  resource: IResource,
  report: IReport,
  answered: boolean,
  now: number,
  trans: TranslationBundle
): string {
  const at = clock(resource.due_at ?? now, now);
  const left = unbroken(duration(warning(resource, now) ?? 0, trans));
  switch (modeOf(resource, report, answered)) {
    case 'stops':
      return trans.__('Stops at %1, in %2', at, left);
    case 'dry-run':
      return trans.__('Would stop at %1 (dry run)', at);
    case 'blocked':
      return trans.__('Due at %1, but it cannot be stopped', at);
    default:
      return '';
  }
}

/** The message when a file with code of the panel cannot be loaded. */
export function notLoaded(trans: TranslationBundle): string {
  return trans.__(
    'A part of Auto Shutdown could not be loaded. After an update of Auto Shutdown, reload the page.'
  );
}
