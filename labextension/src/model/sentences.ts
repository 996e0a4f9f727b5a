import type { TranslationBundle } from '@jupyterlab/translation';

import { clock, duration, limitText } from './durations';
import { fullName, keyOf, title } from './names';
import type { IName } from './names';
import { blockingFault, isSuspect, modeOf, onTheClock, usesLittle, warning } from './report';
import type { Mode } from './report';
import { messageOf, parameterOf } from './servertexts';
import type { IReport, IResource } from './types';
import { doing } from './phrases';

/** The data that the sentences of a resource need besides the resource. */
export interface IContext {
  report: IReport;
  names: Map<string, IName>;
  /** Whether the server answered the last request. If not, no sentence is about the future. */
  answered: boolean;
  now: number;
  trans: TranslationBundle;
}

export function nameIn(resource: IResource, { names, trans }: IContext): string {
  const name = names.get(keyOf(resource));
  return name === undefined ? title(resource, trans) : fullName(name);
}

function followsItsApp(trans: TranslationBundle): string {
  return trans.__('It stops together with its app; nobody can see what runs in it.');
}

function workUnknown(trans: TranslationBundle): string {
  return trans.__('Whether anything works in the background could not be found out.');
}

/** Why a resource is kept or removed, and what happens next, in whole sentences. */
export function explain(resource: IResource, context: IContext): string[] {
  const why = onTheClock(resource) ? idle(resource, context) : active(resource, context);
  return [...why, ...keptUntil(resource, context), ...next(resource, context)];
}

function idle(resource: IResource, { now, trans }: IContext): string[] {
  const { parameters, kind } = resource;
  const age = duration(now - Date.parse(resource.idle_since ?? ''), trans);
  const limit = limitText(resource.limit_minutes, trans);
  const sentences: string[] = [];
  if (kind === 'terminal' && resource.reason === 'in-use') {
    sentences.push(followsItsApp(trans));
  } else if (isSuspect(resource)) {
    sentences.push(silentOf(resource, age, limit, trans));
  } else if (parameters.case === 'input') {
    sentences.push(
      trans.__(
        'It has waited for an answer to input() for %1 of %2, and nobody is there.',
        age,
        limit
      )
    );
  } else if (parameters.case === 'debugger') {
    sentences.push(
      trans.__('It has stood in the debugger for %1 of %2, and nobody is there.', age, limit)
    );
  } else {
    sentences.push(trans.__('Idle for %1; the limit is %2.', age, limit));
  }
  const last = signalText(resource.signal, trans);
  if (last !== '') {
    sentences.push(trans.__('Last activity: %1.', last));
  }
  if (parameters.work_unknown) {
    sentences.push(workUnknown(trans));
  }
  if (parameters.case === 'asking') {
    sentences.push(trans.__('It is now asked whether anything works in the background.'));
  }
  return sentences;
}

function active(resource: IResource, context: IContext): string[] {
  const { now, trans } = context;
  const { parameters, kind, reason } = resource;
  const since = resource.state_since === null ? 0 : now - Date.parse(resource.state_since);
  switch (reason) {
    case 'disabled':
      return [trans.__('Auto Shutdown is switched off, so this is not stopped.')];
    case 'unknown':
      return [unknown(resource, trans)];
    case 'not-covered':
      return [trans.__('Apps of type %1 are never stopped from here.', parameters.app_type ?? '')];
    case 'not-in-service':
      return [trans.__('SageMaker reports it as %1.', parameters.status ?? resource.state)];
    case 'grace':
      return [trans.__('The kernel is starting; it is left alone for a while.')];
    case 'busy':
      switch (parameters.case) {
        case 'input':
          return [trans.__('It waits for an answer to input(), and a browser is connected.')];
        case 'debugger':
          return [trans.__('It stands in the debugger, and a browser is connected.')];
        case 'unanswered':
          return [trans.__('It was sent a cell and has reported nothing since.')];
      }
      return [trans.__('Running a cell for %1.', duration(since, trans))];
    case 'suspect-busy': {
      const silent = duration(now - Date.parse(parameters.silent_since ?? ''), trans);
      const kept =
        context.report.platform.kind === 'local'
          ? trans.__('It is kept; the server setting max_busy_minutes can limit this.')
          : trans.__('It is kept; an administrator can limit this with max_busy_minutes.');
      const words = [silentFor(parameters.case, silent, trans), kept];
      return parameters.work_unknown ? [...words, workUnknown(trans)] : words;
    }
    case 'connected':
      return [trans.__('It is open in a browser, and your settings keep such notebooks.')];
    case 'running-job':
      return kind === 'terminal'
        ? [trans.__('Running %1.', parameters.command ?? '')]
        : [heldBy(resource, context)];
    case 'background-work':
      return [
        trans.__('Something works in the background: %1.', parameterOf(resource, 'work', trans))
      ];
    case 'terminal-open':
      return kind === 'terminal'
        ? [trans.__('Your settings keep open terminals.')]
        : [heldBy(resource, context)];
    case 'in-use':
      return kind === 'terminal' ? [followsItsApp(trans)] : [heldBy(resource, context)];
    case 'vetoed':
      return [
        trans.__('Kept by %1: %2.', parameters.hook ?? '', parameterOf(resource, 'text', trans))
      ];
    case 'shutting-down':
      return [trans.__('Shutting down since %1.', clock(parameters.since ?? now, now))];
    case 'saves-nothing':
      return [savesNothing(resource, context)];
    case 'kept-alive':
      return [];
    default:
      return [resource.detail];
  }
}

/** Why a suspect resource may be idle although it is busy, and for how long it has been so. */
function silentFor(kind: string | undefined, silent: string, trans: TranslationBundle): string {
  switch (kind) {
    case 'refused':
      return trans.__('Nobody can ask whether a cell runs, and there is no sign of it.');
    case 'low-use':
      return trans.__(
        'For %1 it has used the processor only a little, as an idle cluster of workers does.',
        silent
      );
    case 'host-use':
      return trans.__(
        'For %1 its host has used the processor only a little, perhaps for an agent or another app.',
        silent
      );
    default:
      return trans.__('Busy, but without output and processor time for %1.', silent);
  }
}

/** The same where the administrator has set `max_busy_minutes`, which is `limit`. */
function silentOf(
  resource: IResource,
  age: string,
  limit: string,
  trans: TranslationBundle
): string {
  return usesLittle(resource)
    ? `${silentFor(resource.parameters.case, age, trans)} ${trans.__('The limit is %1.', limit)}`
    : trans.__('It is busy, but has shown no sign of work for %1 of %2.', age, limit);
}

function unknown(resource: IResource, trans: TranslationBundle): string {
  const { parameters } = resource;
  const error = parameterOf(resource, 'error', trans);
  switch (parameters.case) {
    case 'state':
      return trans.__('It reports the unknown state "%1".', parameters.state ?? '');
    case 'source':
      return trans.__(
        'The %1 cannot be read (%2).',
        parameters.source ?? '',
        parameters.code ?? ''
      );
    case 'refused':
      return trans.__('It cannot be asked whether a cell runs: %1.', error);
    case 'no-app':
      return trans.__('It is not known in which app it runs, so it is left alone.');
    case 'work':
      return workUnknown(trans);
    case 'inside':
      return trans.__('Something in it cannot be read, so it is left alone.');
    default:
      return trans.__('It cannot be read: %1.', error);
  }
}

/** The resource is idle, but stopping it would not stop any billing. */
function savesNothing(resource: IResource, context: IContext): string {
  const { report, now, trans } = context;
  const { holder_id: id, case: kind } = resource.parameters;
  const holder = report.resources.find(r => r.id === id);
  const name = holder === undefined ? (id ?? '') : nameIn(holder, context);
  const age = duration(now - Date.parse(resource.idle_since ?? ''), trans);
  return kind === 'app'
    ? trans.__('Idle for %1. Stopping it would save nothing: its app %2 stays.', age, name)
    : trans.__(
        'Idle for %1. Stopping it would save nothing: %2 keeps the instance billed.',
        age,
        name
      );
}

/** What keeps an app: `train.ipynb keeps it (running 3 h 04 m).` */
function heldBy(resource: IResource, context: IContext): string {
  const { report, now, trans } = context;
  const { holder_kind: kind, holder_id: id } = resource.parameters;
  const holder = report.resources.find(r => r.kind === kind && r.id === id);
  if (holder === undefined) {
    return trans.__('Something in it is in use.');
  }
  const words = doing(holder, now, trans);
  return trans.__('%1 keeps it (%2).', nameIn(holder, context), words);
}

function keptUntil(resource: IResource, { now, trans }: IContext): string[] {
  if (resource.kept_until === null) {
    return [];
  }
  const until = clock(resource.kept_until, now);
  const { note } = resource.parameters;
  return [
    note
      ? trans.__('Kept on request until %1: %2', until, note)
      : trans.__('Kept on request until %1.', until)
  ];
}

/** When the resource stops, would stop (dry run), or why it cannot be stopped. */
function next(resource: IResource, context: IContext): string[] {
  const { report, answered, now, trans } = context;
  if (resource.due_at === null || ['vetoed', 'shutting-down'].includes(resource.reason)) {
    return [];
  }
  const announced = warning(resource, now) !== null;
  const at = clock(resource.due_at, now);
  const mode: Mode = modeOf(resource, report, answered);
  switch (mode) {
    case 'stops':
      return announced ? [trans.__('It stops at %1 unless somebody uses it.', at)] : [];
    case 'dry-run':
      return announced ? [trans.__('It would stop at %1 (dry run).', at)] : [];
    case 'blocked':
      return [blockedText(resource, report, trans)];
    default:
      return [];
  }
}

/** Why a resource that is due cannot be stopped. */
export function blockedText(
  resource: IResource,
  report: IReport,
  trans: TranslationBundle
): string {
  const fault = blockingFault(resource, report);
  const why = fault === null ? (resource.parameters.code ?? '') : messageOf(fault, trans);
  return trans.__('It cannot be stopped: %1', why);
}

/** The last activity, by the name of its signal. */
function signalText(signal: string | null, trans: TranslationBundle): string {
  switch (signal) {
    case 'execution-state':
      return trans.__('it ran a cell');
    case 'last-activity':
      return trans.__('as the server reports it');
    case 'request':
      return trans.__('a request to the kernel');
    case 'output':
      return trans.__('output that nobody asked for');
    case 'input':
      return trans.__('a key pressed in the terminal');
    case 'foreground-process':
      return trans.__('a command in the terminal');
    case 'background-work':
      return trans.__('work in the background');
    case 'background-io':
      return trans.__('a program in the background read or wrote');
    case 'other-server':
      return trans.__('another server of yours');
    case 'proxied-page':
    case 'proxied-app':
      return trans.__('somebody used a web app behind this server');
    case 'presence':
      return trans.__('somebody typing or scrolling');
    case 'heartbeat':
      return trans.__('a program reported that it works');
    case 'extension':
      return trans.__('an extension of the server');
    case 'activity-file':
      return trans.__('a remote editor');
    case 'saved':
      return trans.__('a document was saved');
    case 'arrival':
      return trans.__('a kernel or terminal was started in it');
    case 'in-service':
      return trans.__('its start');
    case 'first-seen':
      return trans.__('when Auto Shutdown first saw it');
    default:
      return '';
  }
}
