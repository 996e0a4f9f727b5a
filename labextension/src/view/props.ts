import type { TranslationBundle } from '@jupyterlab/translation';

import type { IState } from '../model/state';
import type { Change, IChoices, IOutcome, IResource, Kind } from '../model/types';

export interface IButton {
  label: string;
  press(): void;
}

/** What the panel can be asked to do. */
export interface IActions {
  /** Keep for so many minutes; null releases. */
  keep(kind: Kind | 'all', id: string, minutes: number | null): void;
  keepAll(resources: IResource[], hours: number): void;
  remove(resource: IResource): void;
  check(): void;
  change(change: Change): Promise<void>;
  openSettings(open: boolean): void;
  /** The host's own settings, where it has an editor for them. */
  preferences: (() => void) | null;
  /** Open the notebook at this path. */
  visit(path: string): void;
}

export interface IProps {
  state: IState;
  now: number;
  choices: IChoices | null;
  settingsOpen: boolean;
  /** Whether announcements are shown here, because there are no notifications. */
  announces: boolean;
  removals: IOutcome[];
  trans: TranslationBundle;
  actions: IActions;
}
