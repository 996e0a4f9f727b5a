import * as React from 'react';

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IPolicy, ISettings, SettingName } from './types';

export type Change = { [name in SettingName]?: ISettings[name] | null };

interface IProps {
  policy: IPolicy;
  trans: TranslationBundle;
  change(change: Change): Promise<void>;
}

type Minutes =
  | 'idle_timeout_minutes'
  | 'kernel_idle_timeout_minutes'
  | 'terminal_idle_timeout_minutes'
  | 'app_idle_timeout_minutes'
  | 'warn_minutes';

type Switch = 'enabled' | 'keep_terminals' | 'protect_connected' | 'dry_run';

/** Every setting saves itself when it is left; what the server says to it stands beside it. */
export function SettingsForm({ policy, trans, change }: IProps): JSX.Element {
  const switches: [Switch, string][] = [
    ['enabled', trans.__('Shut down what is idle')],
    ['keep_terminals', trans.__('Keep open terminals, and their app')],
    ['protect_connected', trans.__('Keep kernels that a tab is connected to')],
    ['dry_run', trans.__('Only say what would be shut down')]
  ];
  const minutes: [Minutes, string][] = [
    ['idle_timeout_minutes', trans.__('Idle for (minutes)')],
    ['kernel_idle_timeout_minutes', trans.__('Kernels (minutes; empty: as above)')],
    ['terminal_idle_timeout_minutes', trans.__('Terminals (minutes; empty: as above)')],
    ['app_idle_timeout_minutes', trans.__('Apps (minutes; empty: as above)')],
    ['warn_minutes', trans.__('Announce it before (minutes)')]
  ];
  return (
    <form className="jp-AutoShutdown-form" onSubmit={event => event.preventDefault()}>
      <p>{sentence(policy, trans)}</p>
      {switches.map(([name, label]) => (
        <Field key={name} name={name} label={label} policy={policy} trans={trans} change={change}>
          {save => (
            <input
              type="checkbox"
              aria-label={label}
              checked={policy[name]}
              disabled={policy.locked.includes(name)}
              onChange={event => save(event.target.checked)}
            />
          )}
        </Field>
      ))}
      {minutes.map(([name, label]) => (
        <Field key={name} name={name} label={label} policy={policy} trans={trans} change={change}>
          {save => (
            <input
              key={policy[name]}
              type="number"
              min={0}
              step="any"
              aria-label={label}
              defaultValue={policy[name] ?? ''}
              disabled={policy.locked.includes(name)}
              onBlur={event => {
                const text = event.target.value;
                const value = text === '' ? null : Number(text);
                if (value !== policy[name]) {
                  save(value);
                }
              }}
            />
          )}
        </Field>
      ))}
      {policy.rules.length > 0 && <p>{trans.__('Rules: %1', JSON.stringify(policy.rules))}</p>}
    </form>
  );
}

interface IFieldProps extends IProps {
  name: SettingName;
  label: string;
  children(save: (value: boolean | number | null) => void): JSX.Element;
}

function Field({ name, label, policy, trans, change, children }: IFieldProps): JSX.Element {
  const [refused, setRefused] = React.useState<string | null>(null);
  const save = (value: boolean | number | null): void => {
    change({ [name]: value } as Change).then(
      () => setRefused(null),
      (error: unknown) => setRefused(error instanceof Error ? error.message : String(error))
    );
  };
  const locked = policy.locked.includes(name);
  return (
    <div className="jp-AutoShutdown-field" data-setting={name}>
      <label>
        <span>{label}</span>
        {children(save)}
      </label>
      {!locked && (
        <button
          type="button"
          className="jp-Button jp-AutoShutdown-small"
          title={trans.__('Back to the default')}
          aria-label={trans.__('Back to the default: %1', label)}
          onClick={() => save(null)}
        >
          ↺
        </button>
      )}
      {locked && <p>{trans.__('Set by your administrator.')}</p>}
      {refused && (
        <p role="alert" className="jp-AutoShutdown-bad">
          {refused}
        </p>
      )}
    </div>
  );
}

function sentence(policy: IPolicy, trans: TranslationBundle): string {
  if (!policy.enabled) {
    return trans.__('Nothing is shut down.');
  }
  const { min_idle_timeout_minutes: low, max_idle_timeout_minutes: high } = policy.limits;
  return trans.__(
    'What nobody has used for %1 minutes is shut down, announced %2 minutes before; an instance ' +
      'is billed until its last app is gone. Your administrator allows %3 to %4 minutes.',
    policy.idle_timeout_minutes,
    policy.warn_minutes,
    low,
    high
  );
}
