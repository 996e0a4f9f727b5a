import type { IReport } from './types';

/** The last report, and whether the server answered the last request. */
export interface IState {
  report: IReport | null;
  error: string | null;
  /** What to do about the error, where the server says it. */
  remedy: string;
  /** The HTTP status of that error; 0 where nobody answered at all. */
  status: number;
  /** Whether the panel has stopped asking by itself. */
  quiet: boolean;
}
