import { instancesSummary } from '../model/instancesentences';
import { MANY } from '../model/report';
import { messageOf, remedyOf } from '../model/servertexts';
import { health } from '../model/phrases';
import { Icon } from './icons';
import type { IProps } from './props';
import { h } from './jsx';

interface IToolProps {
  icon: 'refresh' | 'search' | 'settings' | 'help';
  label: string;
  pressed?: boolean;
  press(): void;
}

function Tool({ icon, label, pressed, press }: IToolProps): JSX.Element {
  return (
    <button
      className="jp-AS-icon"
      title={label}
      aria-label={label}
      aria-pressed={pressed}
      onClick={press}
    >
      <Icon name={icon} />
    </button>
  );
}

/** Health in one line, and the buttons of the whole panel. */
export function Toolbar(props: IProps): JSX.Element {
  const { state, trans, actions, look } = props;
  const { report, error } = state;
  const many = (report?.resources.filter(r => r.kind !== 'app').length ?? 0) >= MANY;
  const state_ = error !== null ? 'failing' : (report?.health.state ?? 'disabled');
  const words = health(state, trans);
  const troubled = error !== null || (report !== null && report.health.state !== 'ok');
  const summary = troubled || report === null ? '' : instancesSummary(report, trans);
  return (
    <section
      aria-label={trans.__('Health')}
      className={`jp-AS-health jp-mod-${state_}`}
      data-health={state_}
    >
      <div className="jp-AS-toolbar">
        <span aria-hidden="true" className="jp-AS-dot" />
        <span className="jp-AS-grow">{words}</span>
        <Tool icon="refresh" label={trans.__('Check now')} press={actions.check} />
        {many && (
          <Tool
            icon="search"
            label={trans.__('Filter and sort')}
            pressed={look.filtering}
            press={() => actions.look({ filtering: !look.filtering, filter: '' })}
          />
        )}
        <Tool icon="settings" label={trans.__('Settings')} press={actions.showSettings} />
        <Tool icon="help" label={trans.__('Help')} press={actions.help} />
      </div>
      {summary !== '' && <p className="jp-AS-summary">{summary}</p>}
      {/* Screen readers read this when something goes wrong. */}
      <p role="status" className="jp-AS-spoken">
        {troubled ? words : ''}
      </p>
      {error === null &&
        report?.health.faults.map(fault => (
          <p key={fault.source + fault.code} className="jp-AS-bad" title={fault.code}>
            {messageOf(fault, trans)} {remedyOf(fault, trans)}
          </p>
        ))}
    </section>
  );
}
