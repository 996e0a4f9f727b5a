import * as React from 'react';

import { offerWords } from '../model/bringback';
import { clock, duration } from '../model/durations';
import { namesOf } from '../model/names';
import { announced, deadlines, keepChoices, keepers } from '../model/report';
import type { IHold } from '../model/types';
import { announcement } from '../model/phrases';
import { FilterBar } from './filterbar';
import { Section } from './folding';
import type { IPanelProps, IProps, IReportProps } from './props';
import { OnDemand, Part } from './ondemand';
import { Programs } from './programs';
import { Removed } from './removed';
import { Resources } from './resources';
import { Saved } from './saved';
import { useSource } from './source';
import { Toolbar } from './toolbar';
import { h } from './jsx';

/** The settings form is folded at first, and it is a fifth of the code. So it is loaded later. */
export const SETTINGS = new Part<IReportProps>(
  async () => (await import(/* webpackChunkName: "settings" */ './settingsform')).SettingsForm
);

/** The whole panel, from health to settings. */
export function PanelView(panel: IPanelProps): JSX.Element {
  const look = useSource(panel.look);
  const settings = useSource(panel.settings, panel.actions.released);
  const props: IProps = { ...panel, look, settings };
  const { trans } = props;
  const { report } = props.state;
  if (report === null) {
    return <Toolbar {...props} />;
  }
  const names = namesOf(report.resources, trans);
  const all: IReportProps = { ...props, report, names };
  return (
    <>
      <Toolbar {...props} />
      {look.filtering && <FilterBar {...props} />}
      {props.announces && <Announcements {...all} />}
      <Offer {...all} />
      <KeptAlive {...all} />
      <Resources {...all} />
      <Programs {...all} />
      <Removed {...all} />
      <Saved {...all} />
      <Section {...props} fold="settings" label={trans.__('Settings')}>
        <OnDemand part={SETTINGS} with={all} reachable={props.state.error === null} trans={trans} />
      </Section>
    </>
  );
}

/** The resources that stop soon, if the host has no notifications. */
function Announcements({ report, state, now, trans, actions }: IReportProps): JSX.Element | null {
  if (state.error !== null) {
    return null;
  }
  const hours = keepChoices(report.policy.limits.max_keep_alive_minutes)[0];
  return (
    <div role="status">
      {deadlines(announced(report, now)).map(due => (
        <p key={due[0].kind + due[0].id} className="jp-AS-announcement">
          <span className="jp-AS-grow">{announcement(due, report.resources, now, trans)}</span>
          <button
            className="jp-AS-button jp-mod-primary"
            onClick={() => actions.keepAll(keepers(due), hours)}
          >
            {trans.__('Keep %1', duration(hours * 3_600_000, trans))}
          </button>
          {report.policy.remember_stopped && (
            <button
              className="jp-AS-button"
              title={trans.__('Stop now and bring back later')}
              onClick={() => actions.stopNow(due)}
            >
              {trans.__('Stop now…')}
            </button>
          )}
        </p>
      ))}
    </div>
  );
}

/** After a restart of the server: what ended with it, and a button that brings it back. */
function Offer({ returns, now, trans, actions }: IReportProps): JSX.Element | null {
  const { offer, isStarting } = returns;
  if (offer === null) {
    return null;
  }
  const starting = offer.entries.some(isStarting);
  return (
    <p className="jp-AS-everything jp-AS-offer" role="status">
      <span className="jp-AS-grow">{offerWords(offer, now, trans)}</span>
      <button
        className="jp-AS-button jp-mod-primary"
        disabled={starting}
        onClick={() => actions.bringBack(offer.entries)}
      >
        {starting ? trans.__('starting') : trans.__('Bring back')}
      </button>
      <button className="jp-AS-button" onClick={actions.dismissOffer}>
        {trans.__('Dismiss')}
      </button>
    </p>
  );
}

/** The keep-alive on everything, if there is one. */
function KeptAlive({ report, now, trans, actions }: IReportProps): JSX.Element | null {
  const hold: IHold | undefined = report.keep_alive.find(h => h.kind === 'all');
  if (hold === undefined) {
    return null;
  }
  return (
    <p className="jp-AS-line jp-AS-everything">
      <span className="jp-AS-grow">
        {trans.__('Everything is kept until %1.', clock(hold.kept_until, now))}
        {hold.note && <bdi className="jp-AS-note"> {hold.note}</bdi>}
      </span>
      <button className="jp-AS-button" onClick={() => actions.keep('all', hold.id, null)}>
        {trans.__('Release')}
      </button>
    </p>
  );
}
