import { ISignal, Signal } from '@lumino/signaling';

import type { IReport } from './types';

/** Milliseconds between two questions while somebody sees the panel, and while nobody does. */
const SEEN = 10_000;
const UNSEEN = 60_000;
const LONGEST = 300_000;

/** What is known by now: a report, and whether the server answered last. */
export interface IState {
  report: IReport | null;
  error: string | null;
}

/**
 * Asks for the report: one question at a time, none while the tab is hidden, rarely while the
 * panel is not seen, and ever more rarely while the server does not answer.
 */
export class Poller {
  constructor(private readonly _status: () => Promise<IReport>) {
    document.addEventListener('visibilitychange', this._onVisibility);
  }

  get state(): IState {
    return this._state;
  }

  get changed(): ISignal<this, IState> {
    return this._changed;
  }

  /** Whether the panel itself can be seen. */
  set seen(value: boolean) {
    if (value !== this._seen) {
      this._seen = value;
      if (value) {
        void this.refresh();
      }
    }
  }

  /** Ask now, and go on from there. */
  async refresh(): Promise<void> {
    window.clearTimeout(this._timer);
    if (this._asking) {
      return;
    }
    this._asking = true;
    try {
      this.take(await this._status());
      this._failures = 0;
    } catch (error) {
      this._failures += 1;
      const said = error instanceof Error ? error.message : String(error);
      this._set({ report: this._state.report, error: said });
    } finally {
      this._asking = false;
      this._plan();
    }
  }

  /** A report that came with the answer to something else. */
  take(report: IReport): void {
    this._set({ report, error: null });
  }

  dispose(): void {
    window.clearTimeout(this._timer);
    document.removeEventListener('visibilitychange', this._onVisibility);
    Signal.clearData(this);
  }

  private _plan(): void {
    window.clearTimeout(this._timer);
    if (document.visibilityState === 'hidden') {
      return;
    }
    const pause = this._seen ? SEEN : UNSEEN;
    const patience = Math.min(pause * 2 ** this._failures, LONGEST);
    this._timer = window.setTimeout(() => void this.refresh(), patience);
  }

  private _set(state: IState): void {
    this._state = state;
    this._changed.emit(state);
  }

  private readonly _onVisibility = (): void => {
    if (document.visibilityState === 'hidden') {
      window.clearTimeout(this._timer);
    } else {
      void this.refresh();
    }
  };

  private readonly _changed = new Signal<this, IState>(this);
  private _state: IState = { report: null, error: null };
  private _timer = 0;
  private _asking = false;
  private _seen = false;
  private _failures = 0;
}
