import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { RefusedError } from './api';
import { announced, digest, nextMoment, warning } from '../model/report';
import type { IState } from '../model/state';
import type { IReport } from '../model/types';

/** Milliseconds between two questions while somebody sees the panel, and while nobody does; each
 * doubles while nothing changes, up to the second of the pair. */
const SEEN: [number, number] = [10_000, 60_000];
const UNSEEN: [number, number] = [60_000, 300_000];
const LONGEST = 300_000;
/** A server that has not answered for so long is gone; it is not asked for any more. */
const PATIENCE = 3_600_000;
/** The server acts on what it was asked a moment after it has answered. */
const AFTERMATH = [500, 1_500, 4_000];
/** How often what is shown is drawn anew: by the second where that can be read. */
const TICK = 10_000;
const FAST_TICK = 1_000;

/**
 * Asks for the report: one question at a time, none while the tab is hidden, rarely while the
 * panel is not seen or nothing changes, ever more rarely while the server does not answer, and not
 * at all once it has been gone for an hour.
 */
export class Poller {
  constructor(private readonly _status: (panel: boolean) => Promise<IReport>) {
    document.addEventListener('visibilitychange', this._onVisibility);
  }

  get state(): IState {
    return this._state;
  }

  /** The server's clock. */
  get now(): number {
    return Date.now() + this._ahead;
  }

  /** Emitted with every answer, and from time to time for what counts down. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether the panel itself can be seen. */
  set seen(value: boolean) {
    if (value !== this._seen) {
      this._seen = value;
      this._unchanged = 0;
      if (value) {
        void this.refresh();
      }
    }
  }

  /** Ask now, and go on from there. */
  async refresh(): Promise<void> {
    window.clearTimeout(this._timer);
    if (this._asking || this._disposed) {
      return;
    }
    this._asking = true;
    try {
      this.take(await this._status(this._seen));
    } catch (error) {
      this._failed(error);
    } finally {
      this._asking = false;
      this._plan();
    }
  }

  /** Something was asked of the server: see what comes of it, now and in the next seconds. */
  async acted(): Promise<void> {
    this._aftermath = [...AFTERMATH];
    await this.refresh();
  }

  /** A report that came with the answer to something else. */
  take(report: IReport): void {
    const found = digest(report);
    this._unchanged = found === this._digest ? this._unchanged + 1 : 0;
    this._digest = found;
    this._failures = 0;
    this._ahead = Date.parse(report.now) - Date.now();
    this._set({ report, error: null, status: 200, quiet: false });
  }

  dispose(): void {
    this._disposed = true;
    window.clearTimeout(this._timer);
    window.clearTimeout(this._ticking);
    document.removeEventListener('visibilitychange', this._onVisibility);
    Signal.clearData(this);
  }

  private _failed(error: unknown): void {
    this._failures += 1;
    if (this._failures === 1) {
      this._failingSince = Date.now();
    }
    this._set({
      report: this._state.report,
      error: error instanceof Error ? error.message : String(error),
      status: error instanceof RefusedError ? error.status : 0,
      quiet: Date.now() - this._failingSince >= PATIENCE
    });
  }

  private _plan(): void {
    window.clearTimeout(this._timer);
    if (document.visibilityState === 'hidden' || this._disposed || this._state.quiet) {
      return;
    }
    this._timer = window.setTimeout(() => void this.refresh(), this._pause());
  }

  private _pause(): number {
    const [shortest, longest] = this._seen ? SEEN : UNSEEN;
    if (this._failures > 0) {
      return Math.min(shortest * 2 ** (this._failures - 1), LONGEST);
    }
    const soon = this._aftermath.shift();
    if (soon !== undefined) {
      return soon;
    }
    const pause = Math.min(shortest * 2 ** this._unchanged, longest);
    // What is announced or removed by then is shown a moment after it.
    const next = this._state.report === null ? null : nextMoment(this._state.report, this.now);
    return next === null ? pause : Math.min(pause, next + 1_000);
  }

  private _set(state: IState): void {
    this._state = state;
    this._tick();
  }

  /** Draw anew, and again after a while. */
  private _tick(): void {
    window.clearTimeout(this._ticking);
    this._changed.emit();
    if (document.visibilityState !== 'hidden' && this._state.report !== null) {
      const [first] = announced(this._state.report, this.now);
      const left = first === undefined ? null : warning(first, this.now);
      const pause = left !== null && left < 90_000 ? FAST_TICK : TICK;
      this._ticking = window.setTimeout(() => this._tick(), pause);
    }
  }

  private readonly _onVisibility = (): void => {
    if (document.visibilityState === 'hidden') {
      window.clearTimeout(this._timer);
      this._tick(); // whoever shows something on top of the page takes it away
    } else {
      this._unchanged = 0;
      void this.refresh();
    }
  };

  private readonly _changed = new Signal<this, void>(this);
  private _state: IState = { report: null, error: null, status: 0, quiet: false };
  private _timer = 0;
  private _ticking = 0;
  private _asking = false;
  private _aftermath: number[] = [];
  private _disposed = false;
  private _seen = false;
  private _failures = 0;
  private _failingSince = 0;
  private _unchanged = 0;
  private _digest = '';
  private _ahead = 0;
}
