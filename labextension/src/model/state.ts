import type { IReport } from './types';

/** The last report, and whether the server answered the last request. */
export interface IState {
  report: IReport | null;
  error: string | null;
  /** What the user can do about the error; empty if the server does not say. */
  remedy: string;
  /** The HTTP status of that error; 0 if no server answered. */
  status: number;
  /** Whether the panel has stopped asking by itself. */
  quiet: boolean;
}
