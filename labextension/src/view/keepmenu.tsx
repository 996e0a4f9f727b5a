import * as React from 'react';

import { clock, duration } from '../model/durations';
import { holdOf, keepChoices, minutesUntil } from '../model/report';
import type { IResource } from '../model/types';
import type { IReportProps } from './props';
import { h } from './jsx';

/** The longest note on a keep-alive, in characters. */
const MOST_NOTE = 200;

type Props = IReportProps & { resource: IResource; name: string };

/** Keep for some hours or until a time, release, and shut down now. */
export function KeepMenu(props: Props): JSX.Element | null {
  const { resource, trans, actions, report } = props;
  const removable = !['not-covered', 'not-in-service'].includes(resource.reason);
  if (!removable) {
    return null;
  }
  return (
    <div className="jp-AS-buttons">
      {report.policy.enabled && <Held {...props} />}
      {report.policy.enabled && <Keep {...props} />}
      <button
        className="jp-AS-button jp-mod-danger"
        aria-label={trans.__('Shut down %1 now…', props.name)}
        onClick={() => actions.remove(resource)}
      >
        {trans.__('Shut down now…')}
      </button>
    </div>
  );
}

/** `Kept until 18:30 · Release`; no button if the keep-alive is on its app or on everything. */
function Held({ resource, report, name, now, trans, actions }: Props): JSX.Element | null {
  const hold = holdOf(resource, report.keep_alive);
  if (hold === null) {
    return null;
  }
  const until = clock(hold.kept_until, now);
  if (hold.kind !== resource.kind || hold.id !== resource.id) {
    return (
      <p>
        {hold.kind === 'all'
          ? trans.__('Kept until %1, as everything is.', until)
          : trans.__('Kept until %1, with its app.', until)}
      </p>
    );
  }
  return (
    <p className="jp-AS-line">
      <span className="jp-AS-grow">
        {trans.__('Kept until %1', until)}
        {hold.note && <bdi className="jp-AS-note"> {hold.note}</bdi>}
      </span>
      <button
        className="jp-AS-button"
        aria-label={trans.__('Release %1', name)}
        onClick={() => actions.keep(resource.kind, resource.id, null)}
      >
        {trans.__('Release')}
      </button>
    </p>
  );
}

function Keep(props: Props): JSX.Element {
  const { resource, report, name, now, trans, actions } = props;
  const [asking, setAsking] = React.useState(false);
  const hold = holdOf(resource, report.keep_alive);
  const own = hold !== null && hold.kind === resource.kind && hold.id === resource.id;
  const [note, setNote] = React.useState(own ? (hold.note ?? '') : '');
  const most = report.policy.limits.max_keep_alive_minutes;
  const keep = (minutes: number): void =>
    actions.keep(resource.kind, resource.id, minutes, note.trim());
  return (
    <>
      <div className="jp-AS-line" role="group" aria-label={trans.__('Keep alive')}>
        <span>{trans.__('Keep')}</span>
        {keepChoices(most).map(hours => (
          <button
            key={hours}
            className="jp-AS-button"
            title={trans.__('Until %1', clock(now + hours * 3_600_000, now))}
            aria-label={trans.__('Keep %1 for %2', name, duration(hours * 3_600_000, trans))}
            onClick={() => keep(hours * 60)}
          >
            {duration(hours * 3_600_000, trans)}
          </button>
        ))}
        <button
          className="jp-AS-button"
          aria-expanded={asking}
          aria-label={trans.__('Keep %1 until…', name)}
          onClick={() => setAsking(!asking)}
        >
          {trans.__('until…')}
        </button>
      </div>
      <input
        className="jp-AS-noteField"
        type="text"
        maxLength={MOST_NOTE}
        placeholder={trans.__('Note (optional)')}
        aria-label={trans.__('Note for keeping %1', name)}
        value={note}
        onChange={event => setNote(event.target.value)}
      />
      {asking && <Until {...props} most={most} keep={keep} done={() => setAsking(false)} />}
    </>
  );
}

interface IUntilProps extends Props {
  most: number;
  keep(minutes: number): void;
  done(): void;
}

function Until({ now, most, trans, keep, done }: IUntilProps): JSX.Element {
  const [time, setTime] = React.useState('');
  const minutes = minutesUntil(time, now);
  const wrong = minutes !== null && minutes > most;
  return (
    <form
      className="jp-AS-line"
      onSubmit={event => {
        event.preventDefault();
        if (minutes !== null && !wrong) {
          keep(minutes);
          done();
        }
      }}
    >
      <input
        type="time"
        autoFocus
        aria-label={trans.__('Keep until')}
        value={time}
        onChange={event => setTime(event.target.value)}
      />
      <button type="submit" className="jp-AS-button" disabled={minutes === null || wrong}>
        {trans.__('Keep')}
      </button>
      <span role="status" className={wrong ? 'jp-AS-bad' : ''}>
        {wrong
          ? trans.__('At most %1.', duration(most * 60_000, trans))
          : minutes !== null && trans.__('for %1', duration(minutes * 60_000, trans))}
      </span>
    </form>
  );
}
