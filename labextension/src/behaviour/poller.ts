import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { announced, digest, nextMoment, warning } from '../model/report';
import type { IState } from '../model/state';
import type { IReport, IResource } from '../model/types';
import { RefusedError } from './api';

/** Milliseconds between two requests while the panel is seen, and while it is not. Each doubles
 * while nothing changes, up to the second of the pair. */
const SEEN: [number, number] = [10_000, 60_000];
const UNSEEN: [number, number] = [60_000, 300_000];
/** The same where the server sends events: polling then only checks that none was lost, and tells
 * the server that the panel is still open. The server takes a panel for closed after 120 s without
 * a request (PANEL_SECONDS in auto_shutdown/cycle/app_listing.py). */
const SEEN_WITH_EVENTS: [number, number] = [60_000, 90_000];
const LONGEST = 300_000;
/** The panel stops asking a server that has not answered for this many milliseconds. */
const PATIENCE = 3_600_000;
/** When the panel asks again after a request to act (milliseconds): the server acts later. */
const AFTER_ACTION = [500, 1_500, 4_000];
/** Milliseconds between two requests while a resource is due and still there, and for how long. */
const OVERDUE_PAUSE = 3_000;
const OVERDUE_FOR = 60_000;
/** The least milliseconds between two requests because of events: panel visible, or not. */
const EVENT_GAP = { seen: 300, unseen: 5_000 };
/** Milliseconds between two drawings while seconds are shown, and while none are shown. */
const FAST_TICK = 1_000;
const TICK = 10_000;
/** Ages and countdowns below this show seconds. */
const SHOWS_SECONDS = 120_000;

/**
 * Requests the report: one request at a time, none while the tab is hidden, at once when an event
 * says that something changed, rarely while nobody looks or nothing changes, ever more rarely while
 * the server does not answer, and not at all once it has been gone for an hour.
 */
export class Poller {
  constructor(private readonly _status: (panel: boolean) => Promise<IReport>) {
    document.addEventListener('visibilitychange', this._onVisibility);
  }

  get state(): IState {
    return this._state;
  }

  /**
   * The server's clock, in milliseconds. While the server does not answer, this is the time of its
   * last report: nobody knows whether what was idle then is idle still.
   */
  get now(): number {
    const { error, report } = this._state;
    return error !== null && report !== null ? Date.parse(report.now) : Date.now() + this._ahead;
  }

  /** Emitted with every answer, and from time to time because ages grow. */
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

  /** The server says that its report has changed: request it, soon and only once. */
  readonly onServerEvent = (): void => {
    this._eventsArrive = true;
    this._eventPending = true;
    if (document.visibilityState === 'hidden' || this._disposed || this._asking) {
      return; // it is requested when the tab is seen, or when the answer is there
    }
    const gap = this._seen ? EVENT_GAP.seen : EVENT_GAP.unseen;
    const pause = Math.max(0, this._askedAt + gap - Date.now());
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this.refresh(), pause);
  };

  /** Request the report now, and go on from there. */
  async refresh(): Promise<void> {
    window.clearTimeout(this._timer);
    if (this._asking || this._disposed) {
      return;
    }
    this._asking = true;
    this._eventPending = false;
    this._askedAt = Date.now();
    try {
      this.take(await this._status(this._seen));
    } catch (error) {
      this._fail(error);
    } finally {
      this._asking = false;
      this._plan();
    }
  }

  /** After a request to act, request the report now and in the next seconds to show the result. */
  async acted(): Promise<void> {
    this._afterAction = [...AFTER_ACTION];
    await this.refresh();
  }

  /** Use a report that came with the answer to another request. */
  take(report: IReport): void {
    const next = digest(report);
    this._unchanged = next === this._digest ? this._unchanged + 1 : 0;
    this._digest = next;
    this._failures = 0;
    this._ahead = Date.parse(report.now) - Date.now();
    this._set({ report, error: null, remedy: '', status: 200, quiet: false });
  }

  dispose(): void {
    this._disposed = true;
    window.clearTimeout(this._timer);
    window.clearTimeout(this._ticking);
    document.removeEventListener('visibilitychange', this._onVisibility);
    Signal.clearData(this);
  }

  private _fail(error: unknown): void {
    this._failures += 1;
    if (this._failures === 1) {
      this._failingSince = Date.now();
    }
    this._set({
      report: this._state.report,
      error: error instanceof Error ? error.message : String(error),
      remedy: error instanceof RefusedError ? error.remedy : '',
      status: error instanceof RefusedError ? error.status : 0,
      quiet: Date.now() - this._failingSince >= PATIENCE
    });
  }

  private _plan(): void {
    window.clearTimeout(this._timer);
    if (document.visibilityState === 'hidden' || this._disposed || this._state.quiet) {
      return;
    }
    if (this._eventPending && this._failures === 0) {
      this.onServerEvent();
      return;
    }
    this._timer = window.setTimeout(() => void this.refresh(), this._pause());
  }

  private _pause(): number {
    const whileSeen = this._eventsArrive ? SEEN_WITH_EVENTS : SEEN;
    const [shortest, longest] = this._seen ? whileSeen : UNSEEN;
    if (this._failures > 0) {
      const first = this._seen ? SEEN[0] : UNSEEN[0];
      return Math.min(first * 2 ** (this._failures - 1), LONGEST);
    }
    const soon = this._afterAction.shift();
    if (soon !== undefined) {
      return soon;
    }
    const { report } = this._state;
    if (report !== null && announced(report, this.now).some(r => this._isOverdue(r))) {
      return OVERDUE_PAUSE;
    }
    const pause = Math.min(shortest * 2 ** this._unchanged, longest);
    // What is announced or removed by then is shown a moment after it.
    const next = report === null ? null : nextMoment(report, this.now);
    return next === null ? pause : Math.min(pause, next + 1_000);
  }

  private _isOverdue({ due_at }: IResource): boolean {
    const late = this.now - Date.parse(due_at ?? '');
    return late >= 0 && late < OVERDUE_FOR;
  }

  private _set(state: IState): void {
    this._state = state;
    this._tick();
  }

  /** Draw, and again after a while because ages grow. */
  private _tick(): void {
    window.clearTimeout(this._ticking);
    this._changed.emit();
    if (document.visibilityState !== 'hidden' && this._state.report !== null) {
      const pause = showsSeconds(this._state.report, this.now) ? FAST_TICK : TICK;
      this._ticking = window.setTimeout(() => this._tick(), pause);
    }
  }

  private readonly _onVisibility = (): void => {
    if (document.visibilityState === 'hidden') {
      window.clearTimeout(this._timer);
      this._tick(); // so that old notifications are withdrawn
    } else {
      this._unchanged = 0;
      void this.refresh();
    }
  };

  private readonly _changed = new Signal<this, void>(this);
  private _state: IState = { report: null, error: null, remedy: '', status: 0, quiet: false };
  private _timer = 0;
  private _ticking = 0;
  private _asking = false;
  private _askedAt = 0;
  private _eventsArrive = false;
  private _eventPending = false;
  private _afterAction: number[] = [];
  private _disposed = false;
  private _seen = false;
  private _failures = 0;
  private _failingSince = 0;
  private _unchanged = 0;
  private _digest = '';
  private _ahead = 0;
}

/** Whether an age or a countdown on the screen shows seconds. */
function showsSeconds(report: IReport, now: number): boolean {
  const [first] = announced(report, now);
  const left = first === undefined ? null : warning(first, now);
  if (left !== null && left < SHOWS_SECONDS) {
    return true;
  }
  const recent = (at: string | null): boolean =>
    at !== null && now - Date.parse(at) < SHOWS_SECONDS;
  return report.resources.some(
    r => recent(r.idle_since) || (r.reason === 'busy' && recent(r.state_since))
  );
}
