import * as React from 'react';

import { draftOf, ruleOf } from '../model/fields';
import type { IRuleDraft } from '../model/fields';
import { typed } from '../model/typedtimes';
import { SetElsewhere, useSave } from './settingfield';
import type { FieldProps } from './settingfield';
import type { IRule } from '../model/types';
import { h } from './jsx';

/** The rules, first match wins; saved as a whole once each of them makes sense. */
export function Rules(props: FieldProps): JSX.Element {
  const { settings, trans } = props;
  const { save, current, pending, refused, saved } = useSave('rules', props);
  const [drafts, setDrafts] = React.useState<IRuleDraft[] | null>(null);
  const locked = settings.locked.includes('rules');
  const shown = drafts ?? current.map(rule => draftOf(rule, trans));

  const store = (list: IRuleDraft[]): void => {
    const read = list.map(draft => ruleOf(draft, settings.limits, trans));
    const rules: IRule[] = read.flatMap(one => ('rule' in one ? [one.rule] : []));
    setDrafts(list);
    if (rules.length < list.length) {
      return; // not before all of them make sense
    }
    const leave = (): void => setDrafts(now => (now === list ? null : now));
    if (JSON.stringify(rules) !== JSON.stringify(current)) {
      void save(rules).then(accepted => accepted && leave());
    } else if (!pending) {
      leave();
    }
  };
  const replaced = (index: number, draft: IRuleDraft): IRuleDraft[] =>
    shown.map((one, i) => (i === index ? draft : one));

  return (
    <fieldset className="jp-AS-rules" data-setting="rules">
      <legend>{trans.__('Rules: the first that matches wins')}</legend>
      {shown.map((draft, index) => (
        <Rule
          key={index}
          {...props}
          number={index + 1}
          draft={draft}
          locked={locked}
          change={next => setDrafts(replaced(index, next))}
          store={() => store(shown)}
          drop={() => store(shown.filter((_, i) => i !== index))}
          raise={
            index === 0
              ? null
              : () => {
                  const list = [...shown];
                  list.splice(index - 1, 2, shown[index], shown[index - 1]);
                  store(list);
                }
          }
        />
      ))}
      {refused !== null && (
        <p role="alert" className="jp-AS-bad">
          {refused}
        </p>
      )}
      {saved && (
        <p role="status" className="jp-AS-saved">
          {trans.__('✓ Saved')}
        </p>
      )}
      {locked && <SetElsewhere {...props} name="rules" />}
      {!locked && (
        <div className="jp-AS-line">
          <button
            className="jp-AS-button"
            onClick={() => {
              const limit = typed(settings.settings.idle_timeout_minutes, trans);
              setDrafts([...shown, { instance_type: '', kernel_name: '', image: '', limit }]);
            }}
          >
            {trans.__('Add a rule')}
          </button>
          {'rules' in settings.user && (
            <button
              className="jp-AS-button"
              onClick={() => {
                setDrafts(null);
                void save(null);
              }}
            >
              {trans.__('Back to the default')}
            </button>
          )}
        </div>
      )}
    </fieldset>
  );
}

interface IRuleProps extends FieldProps {
  number: number;
  draft: IRuleDraft;
  locked: boolean;
  change(draft: IRuleDraft): void;
  store(): void;
  drop(): void;
  raise: (() => void) | null;
}

function Rule(props: IRuleProps): JSX.Element {
  const { number, draft, locked, change, store, drop, raise, trans, settings } = props;
  const drafted = ruleOf(draft, settings.limits, trans);
  const inputs: [Exclude<keyof IRuleDraft, 'only_when_it_saves'>, string, string][] = [
    ['instance_type', trans.__('Instance type'), 'ml.g5.*'],
    ['kernel_name', trans.__('Kernel'), 'python3*'],
    ['image', trans.__('Image'), '*pytorch*'],
    ['limit', trans.__('Idle for'), '30 m']
  ];
  // A plain host has no instance types and images; a rule that names one shows it all the same.
  const local = props.report.platform.kind === 'local';
  const offered = inputs.filter(
    ([name]) => !local || draft[name] !== '' || name === 'kernel_name' || name === 'limit'
  );
  return (
    <div className="jp-AS-rule" role="group" aria-label={trans.__('Rule %1', number)}>
      {offered.map(([name, label, example]) => (
        <label key={name} className="jp-AS-line">
          <span className="jp-AS-grow">{label}</span>
          <input
            type="text"
            autoComplete="off"
            value={draft[name]}
            placeholder={example}
            disabled={locked}
            onChange={event => change({ ...draft, [name]: event.target.value })}
            onBlur={store}
            onKeyDown={event => event.key === 'Enter' && store()}
          />
        </label>
      ))}
      {'wrong' in drafted && (
        <p role="status" className="jp-AS-bad">
          {drafted.wrong}
        </p>
      )}
      {!locked && (
        <div className="jp-AS-line">
          {raise !== null && (
            <button
              className="jp-AS-button"
              aria-label={trans.__('Rule %1: move up', number)}
              onClick={raise}
            >
              {trans.__('Move up')}
            </button>
          )}
          <button
            className="jp-AS-button"
            aria-label={trans.__('Rule %1: remove', number)}
            onClick={drop}
          >
            {trans.__('Remove')}
          </button>
        </div>
      )}
    </div>
  );
}
