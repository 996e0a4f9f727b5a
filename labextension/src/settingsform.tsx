import * as React from 'react';

import { typed } from './durations';
import { OVERRIDES, labels, read } from './fields';
import type { Minutes, Switch } from './fields';
import { Rules } from './rules';
import { promise } from './sentences';
import type { Change, IChoices, IReport, SettingName } from './types';
import type { IProps } from './view';

/** How long somebody may pause in typing before what stands there is saved. */
const PAUSE = 1_500;

const SWITCHES: Switch[] = ['keep_terminals', 'protect_connected', 'dry_run'];

type Props = IProps & { report: IReport };
export type FieldProps = Props & { choices: IChoices };

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

/** Saving one setting, and what came of it. */
export function useSave(
  name: SettingName,
  { actions, trans }: FieldProps
): {
  /** Whether the server took it. */
  save(value: Change[SettingName]): Promise<boolean>;
  refused: string | null;
  saved: string;
} {
  const [refused, setRefused] = React.useState<string | null>(null);
  const [saved, setSaved] = React.useState('');
  const save = async (value: Change[SettingName]): Promise<boolean> => {
    setSaved('');
    try {
      await actions.change({ [name]: value } as Change);
    } catch (error) {
      setRefused(error instanceof Error ? error.message : String(error));
      return false;
    }
    setRefused(null);
    setSaved(trans.__('Saved.'));
    return true;
  };
  return { save, refused, saved };
}

interface IFrameProps extends FieldProps {
  name: SettingName;
  wrong: string | null;
  saved: string;
  reset(): void;
  children: React.ReactNode;
}

/** Who decided a locked setting, as far as the server can tell. */
export function SetByAdmin({
  name,
  report,
  trans
}: FieldProps & { name: SettingName }): JSX.Element {
  const source = report.policy.sources?.[name];
  return (
    <p className="jp-AutoShutdown-hint">
      {source === undefined
        ? trans.__('Set by your administrator.')
        : trans.__('Set by your administrator (%1).', source)}
    </p>
  );
}

/** A field with its label, the way back to the default, who decided, and what is wrong. */
export function Frame(props: IFrameProps): JSX.Element {
  const { name, choices, trans, wrong, saved, reset, children } = props;
  const label = labels(trans)[name];
  const locked = choices.locked.includes(name);
  return (
    <div className="jp-AutoShutdown-field" data-setting={name}>
      <div className="jp-AutoShutdown-line">
        <label className="jp-AutoShutdown-grow" htmlFor={idOf(name)}>
          {label}
        </label>
        {children}
        {!locked && name in choices.user ? (
          <button
            type="button"
            className="jp-AutoShutdown-icon"
            title={trans.__('Back to the default (%1)', shown(choices.defaults[name], props))}
            aria-label={trans.__('%1: back to the default', label)}
            onClick={reset}
          >
            ↺
          </button>
        ) : (
          <span className="jp-AutoShutdown-gap" />
        )}
      </div>
      {locked && <SetByAdmin {...props} name={name} />}
      <p
        id={`${idOf(name)}-said`}
        role="status"
        className={wrong === null ? 'jp-AutoShutdown-heard' : 'jp-AutoShutdown-bad'}
      >
        {wrong ?? saved}
      </p>
    </div>
  );
}

export function idOf(name: string): string {
  return `jp-AutoShutdown-setting-${name}`;
}

function shown(value: unknown, { trans }: FieldProps): string {
  if (typeof value === 'boolean') {
    return value ? trans.__('on') : trans.__('off');
  }
  return typeof value === 'number' ? typed(value) : trans.__('none');
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
