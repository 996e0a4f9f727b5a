/** The shapes of auto_shutdown/api/rest-api.yml, as far as they are used here. */

import type { ISentence } from './servertexts';

export type Kind = 'kernel' | 'terminal' | 'app';

export interface IFault {
  source: string;
  code: string;
  message: string;
  /** The sentences of `message`, for other languages; absent in an older server's report. */
  message_parts?: ISentence[];
  remedy: string;
  remedy_parts?: ISentence[];
  since: string;
}

export interface IResource {
  kind: Kind;
  id: string;
  name: string;
  app: string | null;
  /** False if nobody knows in which app it runs; an older server does not say. */
  app_known?: boolean;
  paths: string[];
  state: string;
  state_since: string | null;
  instance_type: string | null;
  action: 'keep' | 'remove';
  reason: string;
  /** One sentence in English; `reason` and `parameters` say the same for other languages. */
  detail: string;
  parameters: { [name: string]: string };
  /** The sentences of those parameters that are texts of the server; an older one sends none. */
  parameter_parts?: { [name: string]: ISentence[] };
  signal: string | null;
  limit_minutes: number;
  rule: string;
  idle_since: string | null;
  warn_at: string | null;
  due_at: string | null;
  kept_until: string | null;
  billing: boolean;
}

/** A program in the server's own app that no kernel or terminal of this server shows. */
export interface IProgram {
  kind: 'kernel' | 'terminal';
  id: string;
  name: string;
  /** The program that started a kernel; empty where that is not known. */
  started_by: string;
  reason: string;
  /** One sentence in English. */
  detail: string;
  /** The sentences of `detail`; an older server does not send them. */
  detail_parts?: ISentence[];
}

export interface IHealth {
  state: 'ok' | 'degraded' | 'failing' | 'disabled';
  armed: boolean;
  last_pass: string | null;
  last_ok_pass: string | null;
  next_pass: string | null;
  unsignalled_changes: number;
  faults: IFault[];
}

export interface IOutcome {
  at: string;
  kind: Kind;
  id: string;
  outcome: string;
  reason: string;
  detail: string;
  /** The sentences of `detail`, where the removal failed. */
  detail_parts?: ISentence[];
  name: string;
  paths: string[];
  app: string | null;
  rule: string | null;
  idle_since: string | null;
  /** Whether it was this server's own app or instance; only in the audit log. */
  ends_server?: boolean;
  /** The result of the removal, if it failed; only in the audit log. */
  outcome_detail?: string;
  /** The sentences of `outcome_detail`. */
  outcome_detail_parts?: ISentence[];
}

/** A line of the audit log: an outcome, whose `id` is called `resource` there. */
export interface IEntry extends Omit<IOutcome, 'id'> {
  resource: string;
}

export interface IHold {
  kind: Kind | 'all';
  id: string;
  kept_until: string;
  /** The reason that the user gave; empty where they gave none. */
  note?: string;
}

/** A stopped kernel or terminal that can be brought back (`GET stopped`). Entries with the same
 * `stop` were removed in one pass. */
export interface IStoppedEntry {
  id: string;
  stop: string;
  at: string;
  kind: 'kernel' | 'terminal';
  /** The id that the kernel or terminal had. */
  resource: string;
  name: string;
  /** The kernelspec that starts the kernel again; empty for a terminal. */
  kernel_name: string;
  paths: string[];
  instance_type: string | null;
  directory: string | null;
  /** Whether the server itself ended in the same pass. */
  ends_server: boolean;
  /** How many cells had been run; null where the kernel could not be asked. */
  cells: number | null;
  /** Whether these are all cells that had been run. */
  complete: boolean;
}

/** The same with the code of its cells, in the order in which they ran (`GET stopped?id=`). */
export interface IStoppedSession extends Omit<IStoppedEntry, 'cells'> {
  cells: string[] | null;
}

/** The answer to `GET stopped`: newest first. */
export interface IStoppedAnswer {
  stopped: IStoppedEntry[];
  server_started: string;
}

export interface ILimits {
  min_idle_timeout_minutes: number;
  max_idle_timeout_minutes: number;
  max_keep_alive_minutes: number;
}

export interface IRule {
  instance_type?: string;
  kernel_name?: string;
  image?: string;
  /** A rule has this, `only_when_it_saves`, or both. */
  idle_timeout_minutes?: number;
  only_when_it_saves?: boolean;
}

export interface ISettings {
  enabled: boolean;
  idle_timeout_minutes: number;
  kernel_idle_timeout_minutes: number | null;
  terminal_idle_timeout_minutes: number | null;
  app_idle_timeout_minutes: number | null;
  warn_minutes: number;
  keep_terminals: boolean;
  protect_connected: boolean;
  rules: IRule[];
  dry_run: boolean;
  only_when_it_saves: boolean;
  remember_stopped: boolean;
}

export type SettingName = keyof ISettings;

/** The settings to change; null resets a setting to its default. */
export type Change = { [name in SettingName]?: ISettings[name] | null };

export interface IPolicy extends ISettings {
  locked: SettingName[];
  limits: ILimits;
  /** The file that sets each setting, or "command line"; absent if the server does not know it. */
  sources?: { [name: string]: string };
}

/** The answer to `GET settings`. */
export interface ISettingsAnswer {
  settings: ISettings;
  user: Partial<ISettings>;
  defaults: ISettings;
  limits: ILimits;
  locked: SettingName[];
  sources?: { [name: string]: string };
}

export interface IPlatform {
  kind: string;
  /** The limit of SageMaker's own idle shutdown, if it is on and known. */
  native_idle_timeout_minutes?: number | null;
}

export interface IReport {
  version: number;
  now: string;
  platform: IPlatform;
  health: IHealth;
  policy: IPolicy;
  /** The lists that are not current, each with a code; an older server does not say. */
  unread?: { [source: string]: string };
  resources: IResource[];
  /** Missing in the report of an older server. */
  programs?: IProgram[];
  keep_alive: IHold[];
  outcomes: IOutcome[];
  savings: ISavings;
}

/** Amounts of one day of UTC. */
export interface ISavedDay {
  day: string;
  instance_hours: number;
  usd: number;
  unpriced_hours: number;
}

export interface ISavings {
  /** When the log of removals begins; null where it is empty. */
  since: string | null;
  instance_hours: number;
  usd: number;
  unpriced_hours: number;
  priced_as_of: string;
  days: ISavedDay[];
  /** By instance type that is billed now; null where the price is unknown. */
  usd_per_hour: { [instanceType: string]: number | null };
}
