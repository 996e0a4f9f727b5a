import * as React from 'react';

import { typed } from '../model/durations';
import { OVERRIDES, read } from '../model/fields';
import type { Minutes, Switch } from '../model/fields';
import { Rules } from './rules';
import { Frame, idOf, useSave } from './settingfield';
import type { FieldProps } from './settingfield';
import { promise } from '../model/sentences';
import type { IReport } from '../model/types';
import type { IProps } from './props';

/** How long somebody may pause in typing before what stands there is saved. */
const PAUSE = 1_500;

const SWITCHES: Switch[] = ['keep_terminals', 'protect_connected', 'only_when_it_saves', 'dry_run'];

type Props = IProps & { report: IReport };

/** Every setting saves itself; what is wrong with it stands beside it as it is typed. */
export function SettingsForm(props: Props): JSX.Element {
  const { report, choices, trans, actions } = props;
  if (choices === null) {
    return <p>{trans.__('Asking the server…')}</p>;
  }
  const fields: FieldProps = { ...props, choices };
  return (
    <form className="jp-AutoShutdown-form" onSubmit={event => event.preventDefault()}>
      <p className="jp-AutoShutdown-promise" role="status">
        {promise(choices.settings, report.platform, trans).join(' ')}
      </p>
      <p className="jp-AutoShutdown-hint">
        {trans.__(
          'Your administrator allows limits from %1 to %2.',
          typed(choices.limits.min_idle_timeout_minutes),
          typed(choices.limits.max_idle_timeout_minutes)
        )}
      </p>
      <Tick {...fields} name="enabled" />
      <Time {...fields} name="idle_timeout_minutes" />
      <Time {...fields} name="warn_minutes" />
      <fieldset>
        <legend>{trans.__('A limit of its own for')}</legend>
        {OVERRIDES.map(name => (
          <Time key={name} {...fields} name={name as Minutes} />
        ))}
      </fieldset>
      {SWITCHES.map(name => (
        <Tick key={name} {...fields} name={name} />
      ))}
      <Rules {...fields} />
      {actions.preferences !== null && (
        <button type="button" className="jp-AutoShutdown-link" onClick={actions.preferences}>
          {trans.__('Notifications, status bar, presence…')}
        </button>
      )}
    </form>
  );
}

function Tick(props: FieldProps & { name: Switch }): JSX.Element {
  const { name, choices } = props;
  const { save, refused, saved } = useSave(name, props);
  return (
    <Frame {...props} wrong={refused} saved={saved} reset={() => void save(null)}>
      <input
        id={idOf(name)}
        type="checkbox"
        aria-describedby={`${idOf(name)}-said`}
        checked={choices.settings[name]}
        disabled={choices.locked.includes(name)}
        onChange={event => void save(event.target.checked)}
      />
    </Frame>
  );
}

function Time(props: FieldProps & { name: Minutes }): JSX.Element {
  const { name, choices, trans } = props;
  const { save, refused, saved } = useSave(name, props);
  const stands = choices.settings[name];
  const [draft, setDraft] = React.useState<string | null>(null);
  const text = draft ?? (stands === null ? '' : typed(stands));
  const found = read(name, text, choices.limits, trans);

  const keep = React.useRef<() => void>(() => undefined);
  keep.current = () => {
    if (draft === null || !('minutes' in found)) {
      return;
    }
    // What was typed stands there until the server has it.
    const leave = (): void => setDraft(now => (now === draft ? null : now));
    if (found.minutes === stands) {
      leave();
    } else {
      void save(found.minutes).then(taken => taken && leave());
    }
  };
  React.useEffect(() => {
    if (draft === null) {
      return;
    }
    // Saved after a pause, but left as typed until the field is: nobody loses a half-typed word.
    const timer = window.setTimeout(() => {
      if ('minutes' in found && found.minutes !== stands) {
        void save(found.minutes);
      }
    }, PAUSE);
    return () => window.clearTimeout(timer);
  }, [draft]);
  React.useEffect(() => () => keep.current(), []);

  const placeholder = OVERRIDES.includes(name)
    ? trans.__('as above (%1)', typed(choices.settings.idle_timeout_minutes))
    : '';
  const wrong = draft !== null && 'wrong' in found ? found.wrong : refused;
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
        aria-describedby={`${idOf(name)}-said`}
        value={text}
        placeholder={placeholder}
        disabled={choices.locked.includes(name)}
        onChange={event => setDraft(event.target.value)}
        onBlur={() => keep.current()}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            keep.current();
          } else if (event.key === 'Escape') {
            setDraft(null);
          }
        }}
      />
    </Frame>
  );
}
