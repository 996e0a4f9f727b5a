import * as React from 'react';

import { typed } from '../model/durations';
import { labels } from '../model/fields';
import type { Change, ISettingsAnswer, SettingName } from '../model/types';
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

/** Saves one setting, and tells what came of it. */
export function useSave(
  name: SettingName,
  { actions, trans, state }: FieldProps
): {
  /** Whether the server took it. */
  save(value: Change[SettingName]): Promise<boolean>;
  refused: string | null;
  saved: boolean;
} {
  const [refused, setRefused] = React.useState<string | null>(null);
  const [saved, setSaved] = React.useState(false);
  const waiting = React.useRef<{ value: Change[SettingName] } | null>(null);
  const timer = React.useRef(0);
  const mounted = React.useRef(true);

  const save = async (value: Change[SettingName]): Promise<boolean> => {
    waiting.current = null;
    setSaved(false);
    try {
      await actions.change({ [name]: value } as Change);
    } catch (error) {
      if (!mounted.current) {
        return false;
      }
      if (wasRefused(error)) {
        setRefused((error as Error).message);
      } else {
        waiting.current = { value };
        setRefused(trans.__('Not saved: the server does not answer. It is tried again.'));
      }
      return false;
    }
    if (mounted.current) {
      setRefused(null);
      setSaved(true);
      window.clearTimeout(timer.current);
      timer.current = window.setTimeout(() => setSaved(false), SAVED_SHOWN);
    }
    return true;
  };

  React.useEffect(() => {
    if (state.error === null && waiting.current !== null) {
      void save(waiting.current.value);
    }
  }, [state.error]);
  React.useEffect(
    () => () => {
      mounted.current = false;
      window.clearTimeout(timer.current);
    },
    []
  );
  return { save, refused, saved };
}

interface IFrameProps extends FieldProps {
  name: SettingName;
  wrong: string | null;
  saved: boolean;
  reset(): void;
  children: React.ReactNode;
}

/** Who decided a locked setting, as far as the server can tell. */
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

/** A field with its label, the way back to the default, who decided, and what is wrong. */
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
            onClick={reset}
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
  return typeof value === 'number' ? typed(value) : trans.__('none');
}
