import * as React from 'react';

import { typed } from '../model/durations';
import { labels } from '../model/fields';
import type { Change, IChoices, IReport, SettingName } from '../model/types';
import type { IProps } from './props';

export type FieldProps = IProps & { report: IReport; choices: IChoices };

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
