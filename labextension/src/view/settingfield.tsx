import * as React from 'react';

import { labels } from '../model/fields';
import { typed } from '../model/typedtimes';
import type { Change, ISettings, ISettingsAnswer, SettingName } from '../model/types';
import { Icon } from './icons';
import type { IReportProps } from './props';
import { h } from './jsx';

export type FieldProps = IReportProps & { settings: ISettingsAnswer };

/** How long "Saved" is shown. */
const SAVED_SHOWN = 4_000;

/** The server answered and refused; without a status it did not answer at all. */
function wasRefused(error: unknown): boolean {
  return typeof (error as { status?: unknown }).status === 'number';
}

interface ISaving<N extends SettingName> {
  /** Save a value; null saves the default. Returns whether the server accepted it. */
  save(value: ISettings[N] | null): Promise<boolean>;
  /** The value last passed to `save`, until the server has answered; then the value in force. */
  current: ISettings[N];
  /** Whether the server has not answered yet. */
  pending: boolean;
  refused: string | null;
  saved: boolean;
}

/** Saves the setting `name`, and tells the result. */
export function useSave<N extends SettingName>(
  name: N,
  { actions, trans, state, settings }: FieldProps
): ISaving<N> {
  type Request = { value: ISettings[N] | null };
  const [refused, setRefused] = React.useState<string | null>(null);
  const [saved, setSaved] = React.useState(false);
  const [request, setRequest] = React.useState<Request | null>(null);
  /** The same as `request`, without waiting for the next drawing. */
  const latest = React.useRef<Request | null>(null);
  const unanswered = React.useRef(false);
  const timer = React.useRef(0);
  const mounted = React.useRef(true);

  const setLatest = (next: Request | null): void => {
    latest.current = next;
    setRequest(next);
  };
  const accept = (): void => {
    setLatest(null);
    setRefused(null);
    setSaved(true);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(
      () => void actions.released().then(() => mounted.current && setSaved(false)),
      SAVED_SHOWN
    );
  };
  const fail = (error: unknown): void => {
    unanswered.current = !wasRefused(error);
    if (unanswered.current) {
      setRefused(trans.__('Not saved: the server does not answer. It is tried again.'));
    } else {
      setLatest(null);
      setRefused((error as Error).message);
    }
  };
  const save = async (value: ISettings[N] | null): Promise<boolean> => {
    const sent = { value };
    unanswered.current = false;
    setLatest(sent);
    setSaved(false);
    const error: unknown = await actions.change({ [name]: value } as Change).then(
      () => null,
      (reason: unknown) => reason
    );
    await actions.released(); // the result moves the fields below it
    // An earlier value's result says nothing about the value that was saved after it.
    if (mounted.current && latest.current === sent) {
      if (error === null) {
        accept();
      } else {
        fail(error);
      }
    }
    return error === null;
  };

  // With each answer of the server, save again each value that did not reach the server.
  React.useEffect(() => {
    if (state.error === null && unanswered.current && latest.current !== null) {
      void save(latest.current.value);
    }
  }, [state]);
  React.useEffect(
    () => () => {
      mounted.current = false;
      window.clearTimeout(timer.current);
    },
    []
  );
  const current =
    request === null ? settings.settings[name] : (request.value ?? settings.defaults[name]);
  return { save, current, pending: request !== null, refused, saved };
}

interface IFrameProps extends FieldProps {
  name: SettingName;
  wrong: string | null;
  saved: boolean;
  reset(): void;
  children: React.ReactNode;
}

/** Who locked a setting, if the server knows it. */
export function SetElsewhere({
  name,
  report,
  trans
}: FieldProps & { name: SettingName }): JSX.Element {
  const source = report.policy.sources?.[name];
  const local = report.platform.kind === 'local';
  const who = local
    ? trans.__("Set in the server's configuration.")
    : trans.__('Set by your administrator.');
  return (
    <p className="jp-AS-hint">
      {who}
      {source !== undefined && ` (${source})`}
    </p>
  );
}

/** A field with its label, the button for its default, who locked it, and its error. */
export function Frame(props: IFrameProps): JSX.Element {
  const { name, settings, trans, wrong, saved, reset, children } = props;
  const label = labels(trans)[name];
  const locked = settings.locked.includes(name);
  return (
    <div className="jp-AS-field" data-setting={name}>
      <div className="jp-AS-line">
        <label className="jp-AS-grow" htmlFor={idOf(name)}>
          {label}
        </label>
        {children}
        {!locked && name in settings.user ? (
          <button
            className="jp-AS-icon"
            title={trans.__('Back to the default (%1)', shown(settings.defaults[name], props))}
            aria-label={trans.__('%1: back to the default', label)}
            onClick={() => {
              reset();
              document.getElementById(idOf(name))?.focus(); // this button goes
            }}
          >
            <Icon name="undo" />
          </button>
        ) : (
          <span className="jp-AS-gap" />
        )}
      </div>
      {locked && <SetElsewhere {...props} name={name} />}
      <p
        id={`${idOf(name)}-result`}
        role="status"
        className={wrong !== null ? 'jp-AS-bad' : saved ? 'jp-AS-saved' : 'jp-AS-spoken'}
      >
        {wrong ?? (saved ? trans.__('✓ Saved') : '')}
      </p>
    </div>
  );
}

export function idOf(name: string): string {
  return `jp-AS-setting-${name}`;
}

function shown(value: unknown, { trans }: FieldProps): string {
  if (typeof value === 'boolean') {
    return value ? trans.__('on') : trans.__('off');
  }
  return typeof value === 'number' ? typed(value, trans) : trans.__('none');
}
