import * as React from 'react';

import { clock } from '../model/durations';
import { announced, deadlines, keepChoices, keepers } from '../model/report';
import type { IProps } from './props';
import { Removed } from './removed';
import { Resources } from './resources';
import { SettingsForm } from './settingsform';
import type { IHold, IReport } from '../model/types';
import { announcement, health } from '../model/words';

/** The whole panel, from health to what was removed. */
export function View(props: IProps): JSX.Element {
  const { trans, actions, settingsOpen } = props;
  const report = props.state.report;
  return (
    <>
      <Health {...props} />
      {report !== null && (
        <>
          {props.announces && <Announcements {...props} report={report} />}
          <Everything {...props} report={report} />
          <Resources {...props} report={report} />
          <details
            className="jp-AutoShutdown-section jp-AutoShutdown-settings"
            open={settingsOpen}
            onToggle={event => actions.openSettings(event.currentTarget.open)}
          >
            <summary>
              <h2>{trans.__('Settings')}</h2>
            </summary>
            {settingsOpen && <SettingsForm {...props} report={report} />}
          </details>
          <Removed {...props} report={report} />
        </>
      )}
    </>
  );
}

function Health({ state, now, trans, actions }: IProps): JSX.Element {
  const { report, error } = state;
  const name = error !== null ? 'failing' : (report?.health.state ?? 'disabled');
  const words = health(state, now, trans);
  const troubled = error !== null || (report !== null && report.health.state !== 'ok');
  return (
    <section
      aria-label={trans.__('Health')}
      className={`jp-AutoShutdown-health jp-mod-${name}`}
      data-health={name}
    >
      <div className="jp-AutoShutdown-line">
        <span aria-hidden="true" className="jp-AutoShutdown-dot" />
        <span className="jp-AutoShutdown-grow">{words}</span>
        <button
          className="jp-AutoShutdown-icon"
          title={trans.__('Check now')}
          aria-label={trans.__('Check now')}
          onClick={actions.check}
        >
          ⟳
        </button>
      </div>
      {/* Read out when something goes wrong, and not each time that a number counts down. */}
      <p role="status" className="jp-AutoShutdown-heard">
        {troubled ? words : ''}
      </p>
      {error === null &&
        report?.health.faults.map(fault => (
          <p key={fault.source + fault.code} className="jp-AutoShutdown-bad" title={fault.code}>
            {fault.message} {fault.remedy}
          </p>
        ))}
    </section>
  );
}

/** What is about to stop, where the host has no notifications for it. */
function Announcements(props: IProps & { report: IReport }): JSX.Element {
  const { report, now, trans, actions } = props;
  const hours = keepChoices(report.policy.limits.max_keep_alive_minutes)[0];
  return (
    <div role="status">
      {deadlines(announced(report, now)).map(due => (
        <p key={due[0].kind + due[0].id} className="jp-AutoShutdown-announcement">
          <span className="jp-AutoShutdown-grow">{announcement(due, now, trans)}</span>
          <button
            className="jp-AutoShutdown-button"
            onClick={() => actions.keepAll(keepers(due), hours)}
          >
            {trans.__('Keep %1', hours >= 1 ? `${hours} h` : `${Math.round(hours * 60)} m`)}
          </button>
        </p>
      ))}
    </div>
  );
}

/** The keep-alive on everything, if there is one. */
function Everything({ report, now, trans, actions }: IProps & { report: IReport }): JSX.Element {
  const hold: IHold | undefined = report.keep_alive.find(h => h.kind === 'all');
  if (hold === undefined) {
    return <></>;
  }
  return (
    <p className="jp-AutoShutdown-line jp-AutoShutdown-everything">
      <span className="jp-AutoShutdown-grow">
        {trans.__('Everything is kept until %1.', clock(hold.kept_until, now))}
      </span>
      <button className="jp-AutoShutdown-button" onClick={() => actions.keep('all', hold.id, null)}>
        {trans.__('Release')}
      </button>
    </p>
  );
}
