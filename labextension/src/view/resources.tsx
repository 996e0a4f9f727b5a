import * as React from 'react';

import { clock, duration } from '../model/durations';
import { KeepMenu } from './keepmenu';
import { billed, grouped, keepChoices, progress, warning } from '../model/report';
import type { IInstance } from '../model/report';
import type { IReport, IResource } from '../model/types';
import type { IProps } from './props';
import { doing, needs, ruleName, title } from '../model/words';

type Props = IProps & { report: IReport };

/** What is billed, and then what is free. */
export function Resources(props: Props): JSX.Element {
  const { report, trans } = props;
  const instances = grouped(report);
  const paid = instances.filter(billed);
  const free = instances.filter(instance => !billed(instance));
  if (instances.length === 0) {
    return (
      <p className="jp-AutoShutdown-section">
        {trans.__('Nothing is running. Nothing is billed here.')}
      </p>
    );
  }
  return (
    <>
      {(paid.length > 0 || report.platform.kind !== 'local') && (
        <section className="jp-AutoShutdown-section">
          <h2>
            {trans.__('Billing now')}
            <span>{trans._n('%1 instance', '%1 instances', paid.length)}</span>
          </h2>
          {paid.length === 0 && <p>{trans.__('Nothing is billed here.')}</p>}
          {paid.map(instance => (
            <Instance key={instance.type} {...props} instance={instance} paid={true} />
          ))}
        </section>
      )}
      {free.length > 0 && (
        <section className="jp-AutoShutdown-section">
          <h2>{report.platform.kind === 'local' ? trans.__('Running') : trans.__('Free')}</h2>
          {free.map(instance => (
            <Instance key={instance.type} {...props} instance={instance} paid={false} />
          ))}
        </section>
      )}
    </>
  );
}

function Instance(props: Props & { instance: IInstance; paid: boolean }): JSX.Element {
  const { instance, paid, trans, now } = props;
  return (
    <div className="jp-AutoShutdown-instance" data-instance={instance.type}>
      {paid && (
        <>
          <h3>{instance.type || trans.__('This app')}</h3>
          <p className="jp-AutoShutdown-needs">{needs(instance, now, trans)}</p>
        </>
      )}
      {instance.apps.map(({ app, inside }) => (
        <ul key={app?.id ?? ''}>
          {app !== null && <Row {...props} resource={app} empty={inside.length === 0} />}
          {inside.map(resource => (
            <Row key={resource.id} {...props} resource={resource} inside={app !== null} />
          ))}
        </ul>
      ))}
    </div>
  );
}

interface IRowProps extends Props {
  resource: IResource;
  inside?: boolean;
  empty?: boolean;
}

function Row(props: IRowProps): JSX.Element {
  const { resource, now, trans, inside, empty, report } = props;
  const soon = report.policy.dry_run ? null : warning(resource, now);
  const part = progress(resource, now);
  const name = title(resource, trans);
  const words = doing(resource, now, trans);
  return (
    <li
      className={`jp-AutoShutdown-row${inside ? ' jp-mod-inside' : ''}`}
      data-kind={resource.kind}
      data-reason={resource.reason}
    >
      <details>
        <summary title={`${resource.detail} (${resource.reason})`}>
          <span className="jp-AutoShutdown-title">{name}</span>
          <span className="jp-AutoShutdown-word">
            {empty && resource.kind === 'app' && resource.state === 'InService'
              ? trans.__('empty · %1', words)
              : words}
          </span>
        </summary>
        <Facts {...props} />
        <KeepMenu {...props} />
      </details>
      {part !== null && (
        <progress
          aria-label={trans.__('Idle time of %1', name)}
          className={soon === null ? '' : 'jp-mod-warn'}
          max={1}
          value={part}
        />
      )}
      {soon !== null && <Soon {...props} left={soon} />}
    </li>
  );
}

/** Why, in a sentence, and what was measured against what. */
function Facts({ resource, trans, now }: IRowProps): JSX.Element {
  const limit = duration(resource.limit_minutes * 60_000);
  return (
    <div className="jp-AutoShutdown-facts">
      <p>{resource.detail}</p>
      <p>
        {resource.reason === 'not-covered'
          ? null
          : trans.__('Limit: %1 (%2).', limit, ruleName(resource.rule, trans))}
        {resource.idle_since !== null &&
          ' ' + trans.__('Last active at %1.', clock(resource.idle_since, now))}
      </p>
      {[...resource.paths.slice(0, 3), resource.kind === 'app' ? resource.name : '']
        .filter(path => path !== '' && path !== title(resource, trans))
        .map(path => (
          <p key={path} className="jp-AutoShutdown-path">
            {path}
          </p>
        ))}
    </div>
  );
}

/** A clock time, which appears only inside the warning. */
function Soon(props: IRowProps & { left: number }): JSX.Element {
  const { resource, left, trans, now, actions, report } = props;
  const hours = keepChoices(report.policy.limits.max_keep_alive_minutes)[0];
  return (
    <p className="jp-AutoShutdown-soon">
      <span className="jp-AutoShutdown-grow">
        {trans.__('Stops at %1, in %2', clock(resource.due_at ?? now, now), duration(left))}
      </span>
      <button
        className="jp-AutoShutdown-button"
        aria-label={trans.__('Keep %1 for %2', title(resource, trans), duration(hours * 3_600_000))}
        onClick={() => actions.keep(resource.kind, resource.id, hours * 60)}
      >
        {trans.__('Keep %1', duration(hours * 3_600_000))}
      </button>
    </p>
  );
}
