import type { TranslationBundle } from '@jupyterlab/translation';

import { clock, dollars, duration, limitText } from './durations';
import { rateOf } from './money';
import { doing } from './phrases';
import {
  NOT_LISTED_YET,
  billed,
  grouped,
  membersOf,
  modeOf,
  unplaced,
  usesLittle,
  warning
} from './report';
import type { IInstance } from './report';
import { blockedText, nameIn } from './sentences';
import type { IContext } from './sentences';
import type { IReport, IResource } from './types';

/** What is known where the report lists nothing. Only a list that was read can show that. */
export function nothingListed(report: IReport, trans: TranslationBundle): string {
  const { unread = {}, platform } = report;
  const code = unread.kernels ?? unread.terminals;
  if (code !== undefined) {
    return code === NOT_LISTED_YET
      ? trans.__('Looking at what is running…')
      : trans.__('What is running is not known.');
  }
  if (platform.kind === 'local') {
    return trans.__('Nothing is running. Open a notebook, and it appears here.');
  }
  switch (unread.apps) {
    case undefined:
      return trans.__('Nothing is running, and nothing is billed as far as this server can see.');
    case NOT_LISTED_YET:
      return trans.__(
        'No kernel or terminal is running. SageMaker has not sent the list of apps yet, so apps may be running and billed.'
      );
    default:
      return trans.__(
        'No kernel or terminal is running. The list of apps could not be read, so apps may be running and billed.'
      );
  }
}

/** The line about instances below the health: `2 instances · $1.52/h`; empty on a plain host. */
export function instancesSummary(report: IReport, trans: TranslationBundle): string {
  if (report.platform.kind === 'local') {
    return '';
  }
  if (report.unread?.apps === NOT_LISTED_YET) {
    return trans.__('Waiting for the list of apps');
  }
  const types = grouped(report.resources)
    .filter(billed)
    .map(instance => instance.type);
  const { usd, unpriced } = rateOf(types, report);
  const parts = [trans._n('%1 instance', '%1 instances', types.length)];
  if (types.length > unpriced) {
    const known = dollars(usd);
    parts.push(unpriced === 0 ? trans.__('%1/h', known) : trans.__('at least %1/h', known));
  }
  if (unplaced(report).length > 0) {
    parts.push(trans.__('more may be billed'));
  }
  return parts.join(' · ');
}

/** A billed instance in a few words: `in use`, `stops at 14:05`, `idle 1 h / 2 h`. */
export function instanceWords(instance: IInstance, context: IContext): string {
  const { now, trans, report, answered } = context;
  const apps = instance.apps.flatMap(({ app }) => (app === null ? [] : [app]));
  if (apps.every(app => app.state === 'Deleting')) {
    return trans.__('being deleted');
  }
  const kept = apps.filter(app => app.due_at === null || app.reason === 'in-use');
  if (kept.length > 0) {
    // What Auto Shutdown never stops comes first, then what is sure to be in use.
    const [first = kept[0]] = ['not-covered', 'in-use'].flatMap(reason =>
      kept.filter(app => app.reason === reason)
    );
    return doing(first, now, trans);
  }
  const [last] = [...apps].sort((a, b) => Date.parse(b.due_at ?? '') - Date.parse(a.due_at ?? ''));
  if (warning(last, now) !== null && modeOf(last, report, answered) === 'stops') {
    return trans.__('stops at %1', clock(last.due_at ?? now, now));
  }
  return doing(last, now, trans);
}

/** When a billed instance stops, and what has to happen before. */
export function instanceSentence(instance: IInstance, context: IContext): string {
  const { now, trans, report, answered } = context;
  const apps = instance.apps.flatMap(({ app }) => (app === null ? [] : [app]));
  const all = membersOf(instance);
  if (apps.every(app => app.state === 'Deleting')) {
    return trans.__('SageMaker deletes it; it is billed until that is done.');
  }
  const foreign = apps.find(app => app.reason === 'not-covered');
  if (foreign !== undefined) {
    return trans.__('%1 is never stopped from here. Stop it yourself.', nameIn(foreign, context));
  }
  if (!report.policy.enabled) {
    return trans.__('It is billed as long as Auto Shutdown is switched off.');
  }
  const dry = report.policy.dry_run;
  const blocked = apps.find(app => modeOf(app, report, answered) === 'blocked');
  if (blocked !== undefined) {
    return blockedText(blocked, report, trans);
  }
  const conditions = all.flatMap(r => condition(r, context));
  if (conditions.length > 0) {
    const limit = limitText(Math.max(...all.map(r => r.limit_minutes)), trans);
    const shown = conditions.slice(0, 3).join(', ') + (conditions.length > 3 ? ', …' : '');
    return dry
      ? trans.__('Would stop when %1 and nobody has used it for %2.', shown, limit)
      : trans.__('Stops when %1 and nobody has used it for %2.', shown, limit);
  }
  const due = Math.max(...apps.map(app => (app.due_at === null ? 0 : Date.parse(app.due_at))));
  if (due <= now) {
    return trans.__('It is due and is checked once more.');
  }
  const left = duration(due - now, trans);
  return dry
    ? trans.__('Would stop when nobody has used it for another %1.', left)
    : trans.__('Stops when nobody has used it for another %1.', left);
}

/** The event that has to happen before this resource becomes idle; empty if it is idle already. */
function condition(resource: IResource, context: IContext): string[] {
  const { now, trans } = context;
  const name = nameIn(resource, context);
  if (resource.kept_until !== null && warning(resource, now) === null) {
    return [trans.__('%1 is no longer kept (%2)', name, clock(resource.kept_until, now))];
  }
  if (
    resource.kind === 'app' &&
    ['in-use', 'running-job', 'terminal-open'].includes(resource.reason)
  ) {
    return []; // the resources in it give the condition
  }
  switch (resource.reason) {
    case 'busy':
    case 'suspect-busy':
      return resource.parameters.case === 'program' || usesLittle(resource)
        ? [trans.__('the background work of %1 has ended', name)]
        : [trans.__("%1's cell has ended", name)];
    case 'running-job':
      return [trans.__("%1's command has ended", name)];
    case 'background-work':
      return [trans.__('the background work of %1 has ended', name)];
    case 'terminal-open':
      return [trans.__('%1 is closed', name)];
    case 'connected':
      return [trans.__('no browser shows %1', name)];
    case 'vetoed':
      return [trans.__('%1 no longer keeps %2', resource.parameters.hook ?? '', name)];
    case 'unknown':
      return [trans.__('%1 can be read', name)];
    default:
      return [];
  }
}
