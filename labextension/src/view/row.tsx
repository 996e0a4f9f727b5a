import * as React from 'react';

import { clock, duration, limitText } from '../model/durations';
import { keyOf, localPath } from '../model/names';
import { deadlines, keepChoices, modeOf, progress, warning } from '../model/report';
import { explain, nameIn } from '../model/sentences';
import type { IContext } from '../model/sentences';
import type { IResource } from '../model/types';
import { doing, ruleName, stopWords } from '../model/phrases';
import { FoldButton } from './folding';
import { KindIcon } from './icons';
import { KeepMenu } from './keepmenu';
import type { IReportProps } from './props';
import { h } from './jsx';

export function contextOf(props: IReportProps): IContext {
  const { report, names, now, trans, state } = props;
  return { report, names, now, trans, answered: state.error === null };
}

interface IRowProps extends IReportProps {
  resource: IResource;
  /** Whether it stands below its app. */
  inside?: boolean;
  /** For an app: whether nothing runs in it; undefined for everything else. */
  empty?: boolean;
}

/** One kernel, terminal or app: its name opens it, its state unfolds the explanation. */
export function Row(props: IRowProps): JSX.Element {
  const { resource, now, trans, inside, empty } = props;
  const [open, setOpen] = React.useState(false);
  const context = contextOf(props);
  const name = nameIn(resource, context);
  const part = progress(resource, now);
  const soon = warning(resource, now) !== null;
  const words = doing(resource, now, trans);
  const shown =
    empty === true && resource.state === 'InService' ? trans.__('empty · %1', words) : words;
  return (
    <li
      className={`jp-AS-row${inside ? ' jp-mod-inside' : ''}`}
      data-kind={resource.kind}
      data-id={resource.id}
      data-reason={resource.reason}
    >
      <div className="jp-AS-line">
        <Name {...props} />
        <button
          className="jp-AS-word"
          title={`${explain(resource, context).join(' ')} (${resource.reason})`}
          aria-expanded={open}
          aria-label={trans.__('%1: %2. Details', name, shown)}
          onClick={() => setOpen(!open)}
        >
          {shown}
        </button>
      </div>
      {part !== null && (
        <progress
          aria-label={trans.__('Idle time of %1', name)}
          className={soon ? 'jp-mod-warn' : ''}
          max={1}
          value={part}
        />
      )}
      {soon && !stopsWithItsApp(props) && <Soon {...props} />}
      {open && <Details {...props} />}
    </li>
  );
}

function Name(props: IRowProps): JSX.Element {
  const { resource, names, trans, actions, empty } = props;
  const name = names.get(keyOf(resource)) ?? { title: resource.name, place: '' };
  const text = (
    <>
      <KindIcon resource={resource} />
      <bdi className="jp-AS-title">{name.title}</bdi>
      {name.place !== '' && <bdi className="jp-AS-place">{name.place}</bdi>}
    </>
  );
  const full =
    localPath(resource.paths[0] ?? '') || (resource.kind === 'app' ? resource.name : name.title);
  const open = actions.opener(resource);
  if (empty === false) {
    return (
      <span className="jp-AS-name" title={full}>
        <FoldButton {...props} fold={keyOf(resource)} label={text} />
      </span>
    );
  }
  return open === null ? (
    <span className="jp-AS-name" title={full}>
      {text}
    </span>
  ) : (
    <button
      className="jp-AS-name jp-mod-opens"
      title={full}
      aria-label={trans.__('Open %1', name.place ? `${name.title} (${name.place})` : name.title)}
      onClick={open}
    >
      {text}
    </button>
  );
}

/** The open part of a row: the reason in sentences, the limit and its source, paths, actions. */
function Details(props: IRowProps): JSX.Element {
  const { resource, trans, now } = props;
  const context = contextOf(props);
  const limit = limitText(resource.limit_minutes, trans);
  const full = resource.kind === 'app' ? [resource.name] : resource.paths.slice(0, 3);
  return (
    <div className="jp-AS-details">
      <p>{explain(resource, context).join(' ')}</p>
      {resource.reason !== 'not-covered' && (
        <p>
          {trans.__(
            'Limit: %1 (%2).',
            limit,
            ruleName(resource.rule, props.report.platform.kind, trans)
          )}
          {resource.idle_since !== null &&
            ' ' + trans.__('Last active at %1.', clock(resource.idle_since, now))}
        </p>
      )}
      {full.map(path => (
        <p key={path} className="jp-AS-path">
          <bdi>{path}</bdi>
        </p>
      ))}
      <KeepMenu {...props} name={nameIn(resource, context)} />
    </div>
  );
}

/** Whether the row of its app is enough: both stop at the same time, and Keep there keeps both. */
function stopsWithItsApp({ resource, report, now }: IRowProps): boolean {
  const app = report.resources.find(r => r.kind === 'app' && r.id === resource.app);
  return app !== undefined && warning(app, now) !== null && deadlines([resource, app]).length === 1;
}

/** The clock time and the button Keep, which a row shows after its notice. */
function Soon(props: IRowProps): JSX.Element | null {
  const { resource, report, state, trans, now, actions } = props;
  const answered = state.error === null;
  const words = stopWords(resource, report, answered, now, trans);
  if (words === '') {
    return null;
  }
  const hours = keepChoices(report.policy.limits.max_keep_alive_minutes)[0];
  const span = duration(hours * 3_600_000, trans);
  return (
    <p className="jp-AS-soon">
      <span className="jp-AS-grow">{words}</span>
      {modeOf(resource, report, answered) === 'stops' && (
        <button
          className="jp-AS-button jp-mod-primary"
          aria-label={trans.__('Keep %1 for %2', nameIn(resource, contextOf(props)), span)}
          onClick={() => actions.keep(resource.kind, resource.id, hours * 60)}
        >
          {trans.__('Keep %1', span)}
        </button>
      )}
    </p>
  );
}
