import * as React from 'react';

import { clock, duration } from '../model/durations';
import type { IOutcome, IReport } from '../model/types';
import type { IProps } from './props';
import { title } from '../model/words';

const SHOWN = 10;

/** What was removed lately, and what could not be, newest first. */
export function Removed(props: IProps & { report: IReport }): JSX.Element {
  const { removals, now, trans, actions } = props;
  const shown = removals.filter(o => o.outcome !== 'stale' && o.outcome !== 'gone').slice(0, SHOWN);
  return (
    <section className="jp-AutoShutdown-section">
      <h2>{trans.__('Recently stopped')}</h2>
      {shown.length === 0 && <p>{trans.__('Nothing yet.')}</p>}
      <ul>
        {shown.map(outcome => (
          <li
            key={`${outcome.at} ${outcome.kind} ${outcome.id}`}
            className="jp-AutoShutdown-removed"
            title={`${outcome.detail} (${outcome.reason})`}
            data-outcome={outcome.outcome}
          >
            <span className="jp-AutoShutdown-time">{clock(outcome.at, now)}</span>
            <span className="jp-AutoShutdown-title">{title(outcome, trans)}</span>
            <span className="jp-AutoShutdown-word">{why(outcome, props)}</span>
            {outcome.kind === 'kernel' && outcome.paths.length > 0 && (
              <button
                className="jp-AutoShutdown-link"
                aria-label={trans.__('Open %1', outcome.paths[0])}
                onClick={() => actions.visit(outcome.paths[0])}
              >
                {trans.__('open')}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function why(outcome: IOutcome, { trans }: IProps): string {
  switch (outcome.outcome) {
    case 'still-there':
    case 'temporary':
    case 'permanent':
      return trans.__('could not be stopped');
    case 'dry-run':
      return trans.__('would have been stopped');
    case 'pending':
      return trans.__('being stopped');
  }
  if (outcome.reason === 'requested') {
    return trans.__('on request');
  }
  if (outcome.kind === 'app' && outcome.reason === 'idle') {
    return trans.__('nothing active left on it');
  }
  if (outcome.reason === 'app-removed') {
    return trans.__('with its app');
  }
  if (outcome.idle_since === null) {
    return outcome.reason;
  }
  const idle = Date.parse(outcome.at) - Date.parse(outcome.idle_since);
  return trans.__('idle %1', duration(idle));
}
