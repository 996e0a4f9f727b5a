import type { TranslationBundle } from '@jupyterlab/translation';

import { limitText, withUnit } from './durations';
import { parsed, typed } from './typedtimes';
import type { ILimits, IRule, SettingName } from './types';

export type Minutes =
  | 'idle_timeout_minutes'
  | 'kernel_idle_timeout_minutes'
  | 'terminal_idle_timeout_minutes'
  | 'app_idle_timeout_minutes'
  | 'warn_minutes';

export type Switch =
  | 'enabled'
  | 'keep_terminals'
  | 'protect_connected'
  | 'dry_run'
  | 'only_when_it_saves'
  | 'remember_stopped';

/** The longest notice in minutes: a day. The server has the same limit. */
const MAX_WARN = 1440;

export const OVERRIDES: readonly SettingName[] = [
  'kernel_idle_timeout_minutes',
  'terminal_idle_timeout_minutes',
  'app_idle_timeout_minutes'
];

/** The minutes that were typed, null for an empty field, or what is wrong with the text. */
export type Read = { minutes: number | null } | { wrong: string };

export function labels(trans: TranslationBundle): Record<SettingName, string> {
  return {
    enabled: trans.__('Shut down when idle'),
    idle_timeout_minutes: trans.__('Idle for'),
    kernel_idle_timeout_minutes: trans.__('Kernels'),
    terminal_idle_timeout_minutes: trans.__('Terminals'),
    app_idle_timeout_minutes: trans.__('Apps'),
    warn_minutes: trans.__('Notice before'),
    keep_terminals: trans.__('Keep open terminals'),
    protect_connected: trans.__('Keep notebooks open in a browser'),
    rules: trans.__('Rules'),
    dry_run: trans.__('Only report (dry run)'),
    remember_stopped: trans.__('Remember stopped kernels to bring them back'),
    only_when_it_saves: trans.__('Stop only what saves money')
  };
}

/** Reads the text of a field, by the same bounds as the server. */
export function read(name: Minutes, text: string, limits: ILimits, trans: TranslationBundle): Read {
  if (text.trim() === '' && OVERRIDES.includes(name)) {
    return { minutes: null };
  }
  const minutes = parsed(text);
  if (minutes === null) {
    const examples = [withUnit(90, 'm', trans), limitText(120, trans), limitText(90, trans)];
    return { wrong: trans.__('Enter a time such as %1, %2 or %3.', ...examples) };
  }
  const [low, high] =
    name === 'warn_minutes'
      ? [0, MAX_WARN]
      : [limits.min_idle_timeout_minutes, limits.max_idle_timeout_minutes];
  if (minutes < low || minutes > high) {
    return { wrong: trans.__('Must be from %1 to %2.', typed(low, trans), typed(high, trans)) };
  }
  return { minutes };
}

/** A rule in the form, with the texts of its fields. */
export interface IRuleDraft {
  instance_type: string;
  kernel_name: string;
  image: string;
  limit: string;
  /** The form does not show it. Editing the rule in the form leaves it unchanged. */
  only_when_it_saves?: boolean;
}

const GLOBS = ['instance_type', 'kernel_name', 'image'] as const;

export function draftOf(rule: IRule, trans: TranslationBundle): IRuleDraft {
  return {
    instance_type: rule.instance_type ?? '',
    kernel_name: rule.kernel_name ?? '',
    image: rule.image ?? '',
    limit: rule.idle_timeout_minutes === undefined ? '' : typed(rule.idle_timeout_minutes, trans),
    ...savingOf(rule)
  };
}

function savingOf(rule: IRule | IRuleDraft): Pick<IRule, 'only_when_it_saves'> {
  const { only_when_it_saves } = rule;
  return only_when_it_saves === undefined ? {} : { only_when_it_saves };
}

export function ruleOf(
  draft: IRuleDraft,
  limits: ILimits,
  trans: TranslationBundle
): { rule: IRule } | { wrong: string } {
  const globs = GLOBS.map(name => [name, draft[name].trim()] as const).filter(([, v]) => v !== '');
  if (globs.length === 0) {
    return {
      wrong: trans.__('Enter what the rule is for: an instance type, a kernel or an image.')
    };
  }
  const rule = { ...Object.fromEntries(globs), ...savingOf(draft) };
  if (draft.limit.trim() === '' && draft.only_when_it_saves !== undefined) {
    return { rule };
  }
  const found = read('idle_timeout_minutes', draft.limit, limits, trans);
  if ('wrong' in found) {
    return found;
  }
  return { rule: { ...rule, idle_timeout_minutes: found.minutes ?? 0 } };
}
