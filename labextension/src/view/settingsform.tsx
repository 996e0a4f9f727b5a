import * as React from 'react';

import { limitText } from '../model/durations';
import { typed } from '../model/typedtimes';
import { OVERRIDES, read } from '../model/fields';
import type { Minutes, Switch } from '../model/fields';
import { settingsSummary } from '../model/settingssummary';
import { Rules } from './rules';
import { Frame, idOf, useSave } from './settingfield';
import type { FieldProps } from './settingfield';
import type { IReportProps } from './props';
import { h } from './jsx';

const SWITCHES: Switch[] = [
  'keep_terminals',
  'protect_connected',
  'only_when_it_saves',
  'remember_stopped',
  'dry_run'
];

/** A setting is saved on Enter and when its field is left; an error is shown beside it. */
export function SettingsForm(props: IReportProps): JSX.Element {
  const { report, settings, trans, actions } = props;
  if (settings === null) {
    return <p>{trans.__('Asking the server…')}</p>;
  }
  const fields: FieldProps = { ...props, settings };
  const local = report.platform.kind === 'local';
  const low = limitText(settings.limits.min_idle_timeout_minutes, trans);
  const high = limitText(settings.limits.max_idle_timeout_minutes, trans);
  const overrides = OVERRIDES.filter(name => !local || name !== 'app_idle_timeout_minutes');
  return (
    <form className="jp-AS-form" onSubmit={event => event.preventDefault()}>
      <p className="jp-AS-settingsSummary" role="status">
        {settingsSummary(settings.settings, report.platform, trans).join(' ')}
      </p>
      <p className="jp-AS-hint">
        {local
          ? trans.__('Limits from %1 to %2 are possible.', low, high)
          : trans.__('Your administrator allows limits from %1 to %2.', low, high)}
      </p>
      <Tick {...fields} name="enabled" />
      <Time {...fields} name="idle_timeout_minutes" />
      <Time {...fields} name="warn_minutes" />
      <fieldset>
        <legend>{trans.__('A limit of its own for')}</legend>
        {overrides.map(name => (
          <Time key={name} {...fields} name={name as Minutes} />
        ))}
      </fieldset>
      {SWITCHES.filter(name => !local || name !== 'only_when_it_saves').map(name => (
        <Tick key={name} {...fields} name={name} />
      ))}
      <Rules {...fields} />
      {actions.preferences !== null && (
        <button className="jp-AS-link" onClick={actions.preferences}>
          {trans.__('Notifications, status bar, presence…')}
        </button>
      )}
    </form>
  );
}

function Tick(props: FieldProps & { name: Switch }): JSX.Element {
  const { name, settings } = props;
  const { save, current, refused, saved } = useSave(name, props);
  return (
    <Frame {...props} wrong={refused} saved={saved} reset={() => void save(null)}>
      <input
        id={idOf(name)}
        type="checkbox"
        aria-describedby={`${idOf(name)}-result`}
        checked={current}
        disabled={settings.locked.includes(name)}
        onChange={event => void save(event.target.checked)}
      />
    </Frame>
  );
}

function Time(props: FieldProps & { name: Minutes }): JSX.Element {
  const { name, settings, trans } = props;
  const { save, current, pending, refused, saved } = useSave(name, props);
  const inForce = settings.settings[name];
  // The text that the user has typed, until the server has accepted it.
  const [draft, setDraft] = React.useState<string | null>(null);
  const text = draft ?? (current === null ? '' : typed(current, trans));
  const typedIn = read(name, text, settings.limits, trans);

  const finish = React.useRef<() => void>(() => undefined);
  finish.current = () => {
    if (draft === null || !('minutes' in typedIn)) {
      return;
    }
    const leave = (): void => setDraft(now => (now === draft ? null : now));
    if (typedIn.minutes !== current) {
      void save(typedIn.minutes).then(accepted => accepted && leave());
    } else if (!pending) {
      leave();
    }
  };
  // The server may accept a draft later, when it answers again: then it is no longer a draft.
  React.useEffect(() => {
    if (draft !== null && 'minutes' in typedIn && typedIn.minutes === inForce) {
      if (document.activeElement?.id !== idOf(name)) {
        setDraft(null);
      }
    }
  }, [inForce]);
  React.useEffect(() => () => finish.current(), []);

  const placeholder = OVERRIDES.includes(name)
    ? trans.__('%1, as above', typed(settings.settings.idle_timeout_minutes, trans))
    : '';
  const wrong = draft !== null && 'wrong' in typedIn ? typedIn.wrong : refused;
  return (
    <Frame
      {...props}
      wrong={wrong}
      saved={saved}
      reset={() => {
        setDraft(null);
        void save(null);
      }}
    >
      <input
        id={idOf(name)}
        type="text"
        autoComplete="off"
        aria-invalid={wrong !== null}
        aria-describedby={`${idOf(name)}-result`}
        value={text}
        placeholder={placeholder}
        disabled={settings.locked.includes(name)}
        onChange={event => setDraft(event.target.value)}
        onBlur={() => finish.current()}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            finish.current();
          } else if (event.key === 'Escape') {
            setDraft(null);
          }
        }}
      />
    </Frame>
  );
}
