import type { TranslationBundle } from '@jupyterlab/translation';

import type { IOffer } from '../model/bringback';
import type { IName } from '../model/names';
import type { Order } from '../model/report';
import type { IState } from '../model/state';
import type {
  Change,
  IOutcome,
  IReport,
  IResource,
  ISettingsAnswer,
  IStoppedEntry,
  Kind
} from '../model/types';
import type { ISource } from './source';

export interface IButton {
  label: string;
  /** The full text, if the label is short. */
  caption?: string;
  /** Whether this is the primary button, which most people want. */
  primary?: boolean;
  press(): void;
}

/** What the user can ask of the panel. */
export interface IActions {
  /** Keep one resource (or everything) for so many minutes; null releases it. */
  keep(kind: Kind | 'all', id: string, minutes: number | null, note?: string): void;
  keepAll(resources: IResource[], hours: number): void;
  remove(resource: IResource): void;
  /** Ask whether to stop these now, and say what can be brought back later. */
  stopNow(resources: IResource[]): void;
  /** Open the notebooks and start the kernels and terminals of `entries` again. */
  bringBack(entries: IStoppedEntry[]): void;
  /** Ask which of the cells that had been run are to run again. */
  runAgain(entry: IStoppedEntry): void;
  dismissOffer(): void;
  /** Ask which of the idle resources to shut down, and do it. */
  removeIdle(): void;
  check(): void;
  change(change: Change): Promise<void>;
  /** Resolves once no mouse button is pressed in the panel: then rows may move. */
  released(): Promise<void>;
  showSettings(): void;
  help(): void;
  /** Open the host's own settings editor; null where the host has none. */
  preferences: (() => void) | null;
  /** Open the notebook at this path. */
  visit(path: string): void;
  /** Open the notebook or terminal; null where there is nothing to open. */
  opener(resource: IResource): (() => void) | null;
  look(change: Partial<ILook>): void;
}

/** How the user has arranged the panel; kept in the browser. */
export interface ILook {
  /** Keys of the sections, instances and apps that are folded. */
  folded: string[];
  filtering: boolean;
  filter: string;
  order: Order;
}

/** What the panel needs to know of stopped kernels and terminals. */
export interface IReturns {
  /** What ended with the server before it was started again. */
  offer: IOffer | null;
  of(outcome: IOutcome): IStoppedEntry | null;
  isStarting(entry: IStoppedEntry): boolean;
}

/** The properties of the whole panel. Its fields follow the sources at once. */
export interface IPanelProps extends Omit<IProps, 'look' | 'settings'> {
  look: ISource<ILook>;
  settings: ISource<ISettingsAnswer | null>;
}

export interface IProps {
  state: IState;
  now: number;
  settings: ISettingsAnswer | null;
  look: ILook;
  /** Whether the panel shows the announcements, because the host has no notifications. */
  announces: boolean;
  removals: IOutcome[];
  /** What can be brought back. */
  returns: IReturns;
  trans: TranslationBundle;
  actions: IActions;
}

/** The properties of each component that needs a report. */
export interface IReportProps extends IProps {
  report: IReport;
  /** The names of all resources of the report. No two are the same. */
  names: Map<string, IName>;
}
