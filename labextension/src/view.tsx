import * as React from 'react';

import type { TranslationBundle } from '@jupyterlab/translation';

import { billed, clock, duration, grouped, keepChoices, progress, title, warning } from './model';
import type { IState } from './poller';
import { SettingsForm } from './settingsform';
import type { Change } from './settingsform';
import type { IHealth, IReport, IResource } from './types';

export interface IActions {
  keep(resource: IResource, hours: number | null): void;
  remove(resource: IResource): void;
  check(): void;
  change(change: Change): Promise<void>;
}

interface IProps {
  state: IState;
  now: number;
  trans: TranslationBundle;
  actions: IActions;
}

/** The whole panel, from health to what was removed. */
export function View(props: IProps): JSX.Element {
  const { state, trans } = props;
  const report = state.report;
  if (report === null) {
    const text = state.error ?? trans.__('Asking the server…');
    return <p className={state.error ? 'jp-AutoShutdown-bad' : ''}>{text}</p>;
  }
  return (
    <>
      <Health {...props} health={report.health} />
      <Resources {...props} report={report} />
      <details className="jp-AutoShutdown-section">
        <summary>{trans.__('Settings')}</summary>
        <SettingsForm policy={report.policy} trans={trans} change={props.actions.change} />
      </details>
      <Removed report={report} trans={trans} />
    </>
  );
}

function Health(props: IProps & { health: IHealth }): JSX.Element {
  const { health, state, now, trans, actions } = props;
  const quiet = health.state === 'ok' && state.error === null;
  return (
    <section aria-live="polite" className={`jp-AutoShutdown-health jp-mod-${health.state}`}>
      <p className="jp-AutoShutdown-line">
        <span aria-hidden="true" className="jp-AutoShutdown-dot" />
        <span>{quiet ? watching(health, now, trans) : troubled(props)}</span>
        <button className="jp-Button jp-AutoShutdown-small" onClick={actions.check}>
          {trans.__('Check now')}
        </button>
      </p>
      {health.faults.map(fault => (
        <p key={fault.source} className="jp-AutoShutdown-bad">
          {fault.message} {fault.remedy}
        </p>
      ))}
    </section>
  );
}

function watching(health: IHealth, now: number, trans: TranslationBundle): string {
  if (!health.armed) {
    return trans.__('Dry run: nothing is removed.');
  }
  const pause = health.next_pass === null ? 0 : Date.parse(health.next_pass) - now;
  if (pause < 1000) {
    return trans.__('Watching.');
  }
  return trans.__('Watching. Next check in %1.', duration(pause));
}

function troubled({ state, trans }: IProps): string {
  if (state.error !== null) {
    return trans.__('The server does not answer; what you see is of before. (%1)', state.error);
  }
  switch (state.report?.health.state) {
    case 'disabled':
      return trans.__('Switched off: nothing is removed.');
    case 'failing':
      return trans.__('Something that should be removed cannot be:');
    default:
      return trans.__('Watching, but something does not work:');
  }
}

function Resources(props: IProps & { report: IReport }): JSX.Element {
  const { report, trans } = props;
  const instances = grouped(report);
  if (instances.length === 0) {
    return <p>{trans.__('Nothing is running. Nothing is billed here.')}</p>;
  }
  return (
    <section className="jp-AutoShutdown-section">
      {instances.map(instance => (
        <div key={instance.type} className="jp-AutoShutdown-instance">
          <h3>
            {instance.type || (billed(instance) ? trans.__('This app') : trans.__('This server'))}
            <span>{billed(instance) ? trans.__('billed') : trans.__('free')}</span>
          </h3>
          {instance.apps.map(({ app, inside }) => (
            <ul key={app?.id ?? ''}>
              {app && <Row {...props} resource={app} />}
              {inside.map(resource => (
                <Row key={resource.id} {...props} resource={resource} inside={app !== null} />
              ))}
            </ul>
          ))}
        </div>
      ))}
    </section>
  );
}

function Row(props: IProps & { resource: IResource; inside?: boolean }): JSX.Element {
  const { resource, now, trans, inside, state } = props;
  const soon = warning(resource, now);
  const part = progress(resource, now);
  const most = state.report?.policy.limits.max_keep_alive_minutes ?? 0;
  return (
    <li
      className={`jp-AutoShutdown-row${inside ? ' jp-mod-inside' : ''}`}
      data-kind={resource.kind}
      data-reason={resource.reason}
    >
      <details>
        <summary title={`${resource.detail} (${resource.reason})`}>
          <span className="jp-AutoShutdown-title">{title(resource)}</span>
          <span className="jp-AutoShutdown-word">{words(resource, now, trans)}</span>
        </summary>
        <p>{resource.detail}</p>
        <Buttons {...props} most={most} />
      </details>
      {part !== null && (
        <progress
          aria-label={trans.__('Idle time of %1', title(resource))}
          className={soon === null ? '' : 'jp-mod-warn'}
          max={1}
          value={part}
        />
      )}
      {soon !== null && resource.kept_until === null && (
        <p className="jp-AutoShutdown-warning">
          {trans.__('Stops in %1 ', duration(soon))}
          <button
            className="jp-Button jp-AutoShutdown-small"
            onClick={() => props.actions.keep(resource, keepChoices(most)[0])}
          >
            {trans.__('Keep 1 h')}
          </button>
        </p>
      )}
    </li>
  );
}

function words(resource: IResource, now: number, trans: TranslationBundle): string {
  if (resource.kept_until !== null) {
    return trans.__('kept until %1', clock(resource.kept_until));
  }
  if (resource.idle_since === null || resource.due_at === null) {
    return active(resource.reason, trans);
  }
  const limit = duration(resource.limit_minutes * 60_000);
  return trans.__('idle %1 of %2', duration(now - Date.parse(resource.idle_since)), limit);
}

/** Why something is not idle, in two or three words; the whole sentence is one click away. */
function active(reason: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    busy: trans.__('running a cell'),
    'suspect-busy': trans.__('busy, but still'),
    'running-job': trans.__('running a command'),
    'background-work': trans.__('at work'),
    'in-use': trans.__('in use'),
    'terminal-open': trans.__('kept open'),
    connected: trans.__('connected'),
    grace: trans.__('starting'),
    'not-in-service': trans.__('not in service'),
    'not-covered': trans.__('not covered'),
    unknown: trans.__('not to be told'),
    disabled: trans.__('switched off')
  };
  return words[reason] ?? reason;
}

function Buttons(props: IProps & { resource: IResource; most: number }): JSX.Element {
  const { resource, trans, actions, most } = props;
  return (
    <div className="jp-AutoShutdown-buttons">
      {keepChoices(most).map(hours => (
        <button
          key={hours}
          className="jp-Button jp-AutoShutdown-small"
          onClick={() => actions.keep(resource, hours)}
        >
          {trans.__('Keep %1', duration(hours * 3_600_000))}
        </button>
      ))}
      {resource.kept_until !== null && (
        <button
          className="jp-Button jp-AutoShutdown-small"
          onClick={() => actions.keep(resource, null)}
        >
          {trans.__('Release')}
        </button>
      )}
      {resource.reason !== 'not-covered' && resource.reason !== 'not-in-service' && (
        <button
          className="jp-Button jp-AutoShutdown-small jp-mod-warn"
          onClick={() => actions.remove(resource)}
        >
          {trans.__('Shut down now…')}
        </button>
      )}
    </div>
  );
}

function Removed({ report, trans }: { report: IReport; trans: TranslationBundle }): JSX.Element {
  const outcomes = [...report.outcomes].reverse().slice(0, 10);
  return (
    <details className="jp-AutoShutdown-section">
      <summary>{trans.__('Recently stopped')}</summary>
      {outcomes.length === 0 && <p>{trans.__('Nothing yet.')}</p>}
      <ul>
        {outcomes.map((outcome, index) => (
          <li key={index} title={outcome.reason}>
            {clock(outcome.at)} {outcome.kind} {outcome.outcome}: {outcome.detail}
          </li>
        ))}
      </ul>
    </details>
  );
}
