import type { IReport } from './types';

/** What is known by now: a report, and whether the server answered last. */
export interface IState {
  report: IReport | null;
  error: string | null;
  /** The HTTP status of that error; 0 where nobody answered at all. */
  status: number;
  /** Whether it is no longer asked by itself. */
  quiet: boolean;
}
