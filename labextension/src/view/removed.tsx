import { dayWords, timeOfDay } from '../model/days';
import { clock, duration } from '../model/durations';
import { fullName, keyOf, namesOf } from '../model/names';
import type { IName } from '../model/names';
import { ruleName } from '../model/phrases';
import { failed, listedRemovals } from '../model/removals';
import { translated } from '../model/servertexts';
import type { IOutcome } from '../model/types';
import { Section } from './folding';
import type { IReportProps } from './props';
import { h } from './jsx';

/** The last removals: those that failed first, then the newest. */
export function Removed(props: IReportProps): JSX.Element {
  const { removals, report, now, trans } = props;
  const shown = listedRemovals(removals, now);
  const failures = shown.filter(failed).length;
  // A notebook that runs now may have the name of a stopped one in another folder.
  const paths = shown.flatMap(outcome => outcome.paths);
  const others = report.resources.filter(r => !r.paths.some(path => paths.includes(path)));
  const names = namesOf([...others, ...shown], trans);
  return (
    <Section
      {...props}
      fold="stopped"
      label={trans.__('Recently stopped')}
      side={
        failures > 0 && (
          <span className="jp-AS-count jp-mod-bad">
            {trans._n('%1 failed', '%1 failed', failures)}
          </span>
        )
      }
    >
      {shown.length === 0 && <p className="jp-AS-hint">{trans.__('Nothing yet.')}</p>}
      <ul>
        {byDay(shown, now).flatMap(({ day, outcomes }) => [
          day !== '' && (
            <li key={`${day} ${outcomes[0].id}`} className="jp-AS-day">
              {day}
            </li>
          ),
          ...outcomes.map(outcome => (
            <Entry
              key={`${outcome.at} ${outcome.kind} ${outcome.id}`}
              {...props}
              outcome={outcome}
              name={names.get(keyOf(outcome))}
            />
          ))
        ])}
      </ul>
    </Section>
  );
}

/** The removals of each day below the name of the day. Those of today at the top need no name. */
function byDay(outcomes: IOutcome[], now: number): { day: string; outcomes: IOutcome[] }[] {
  const today = dayWords(now, now);
  const days: { day: string; outcomes: IOutcome[] }[] = [];
  let last = today;
  for (const outcome of outcomes) {
    const day = dayWords(outcome.at, now);
    if (days.length === 0 || day !== last) {
      days.push({ day: day === last ? '' : day, outcomes: [] });
      last = day;
    }
    days[days.length - 1].outcomes.push(outcome);
  }
  return days;
}

interface IEntryProps extends IReportProps {
  outcome: IOutcome;
  name: IName | undefined;
}

function Entry(props: IEntryProps): JSX.Element {
  const { outcome, name } = props;
  const bad = failed(outcome);
  const title = name === undefined ? outcome.name : name.title;
  return (
    <li className={`jp-AS-removed${bad ? ' jp-AS-bad' : ''}`} data-outcome={outcome.outcome}>
      <div className="jp-AS-line" title={tooltip(outcome, props)}>
        <span className="jp-AS-what">
          <time className="jp-AS-time" dateTime={outcome.at}>
            {timeOfDay(outcome.at)}
          </time>
          <span className="jp-AS-name">
            <bdi className="jp-AS-title">{title}</bdi>
            {name !== undefined && name.place !== '' && (
              <bdi className="jp-AS-place">{name.place}</bdi>
            )}
          </span>
        </span>
        <span className="jp-AS-result">
          <span className="jp-AS-why">{why(outcome, props)}</span>
          {!bad && <Return {...props} full={name === undefined ? title : fullName(name)} />}
        </span>
      </div>
      {bad && <p>{failure(outcome, props)}</p>}
    </li>
  );
}

/** Bring it back; run what had been run, once its notebook has a kernel; or only open it. */
function Return(props: IEntryProps & { full: string }): JSX.Element | null {
  const { outcome, full, trans, actions, returns, report } = props;
  const entry = returns.of(outcome);
  if (entry === null) {
    return outcome.kind === 'kernel' && outcome.paths.length > 0 ? (
      <button
        className="jp-AS-link"
        aria-label={trans.__('Open %1', full)}
        onClick={() => actions.visit(outcome.paths[0])}
      >
        {trans.__('open')}
      </button>
    ) : null;
  }
  const path = entry.paths[0];
  const runs = report.resources.some(r => r.kind === 'kernel' && r.paths.includes(path));
  if (runs) {
    return (
      <button
        className="jp-AS-button"
        aria-label={trans.__('Run what had been run in %1', full)}
        disabled={!entry.cells}
        onClick={() => actions.runAgain(entry)}
      >
        {trans.__('Run cells…')}
      </button>
    );
  }
  const starting = returns.isStarting(entry);
  return (
    <button
      className="jp-AS-button"
      aria-label={trans.__('Bring back %1', full)}
      disabled={starting}
      onClick={() => actions.bringBack([entry])}
    >
      {starting ? trans.__('starting') : trans.__('Bring back')}
    </button>
  );
}

/** Why the removal failed. An entry of the audit log has this text in `outcome_detail`. */
function failure(outcome: IOutcome, { trans }: IReportProps): string {
  const { detail, detail_parts, outcome_detail, outcome_detail_parts } = outcome;
  return outcome_detail
    ? translated(outcome_detail_parts, outcome_detail, trans)
    : translated(detail_parts, detail, trans);
}

/** When and why it was to be stopped: `Nov 24, 14:05: idle 2 h (the limit for kernels)`. */
function tooltip(outcome: IOutcome, props: IReportProps): string {
  const { now, report, trans } = props;
  const words = `${clock(outcome.at, now)}: ${why(outcome, props)}`;
  return outcome.reason === 'idle' || outcome.reason === 'max-busy'
    ? `${words} (${ruleName(outcome.rule, report.platform.kind, trans)})`
    : words;
}

function why(outcome: IOutcome, { trans }: IReportProps): string {
  switch (outcome.outcome) {
    case 'still-there':
    case 'temporary':
    case 'permanent':
      return trans.__('could not be stopped');
    case 'dry-run':
      return trans.__('would have been stopped');
    case 'pending':
      return trans.__('being stopped');
    case 'interrupted':
      return trans.__('interrupted');
  }
  if (outcome.reason === 'requested') {
    return trans.__('on request');
  }
  if (outcome.kind === 'app' && outcome.reason === 'idle') {
    return trans.__('nothing in it was in use');
  }
  if (outcome.reason === 'app-removed') {
    return trans.__('with its app');
  }
  if (outcome.idle_since === null) {
    return outcome.reason;
  }
  const idle = Date.parse(outcome.at) - Date.parse(outcome.idle_since);
  return trans.__('idle %1', duration(idle, trans));
}
