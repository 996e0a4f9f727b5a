import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { endedBefore, entryOf } from '../model/bringback';
import type { IOffer } from '../model/bringback';
import { ended } from '../model/removals';
import type { IOutcome, IStoppedEntry } from '../model/types';
import type { Api } from './api';
import type { Poller } from './poller';

/** What can be brought back: requested at the start, and after each removal. */
export class StoppedEntries {
  constructor(
    private readonly _api: Pick<Api, 'stopped' | 'forgetStopped'>,
    private readonly _poller: Poller,
    private readonly _storage: Pick<Storage, 'getItem' | 'setItem'>,
    private readonly _name: string,
    private readonly _removals: () => IOutcome[]
  ) {
    _poller.changed.connect(() => void this._follow());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The entry of a removed kernel or terminal; null where it cannot be brought back. */
  of(outcome: Pick<IOutcome, 'kind' | 'id'>): IStoppedEntry | null {
    return entryOf(outcome, this._entries);
  }

  /** What ended with the server before it was started again; null once dismissed. */
  get offer(): IOffer | null {
    const offer = endedBefore(this._entries, this._removals(), this._serverStarted);
    return offer?.at === this._dismissed ? null : offer;
  }

  /** Do not offer it again in any page. */
  dismissOffer(): void {
    const { offer } = this;
    if (offer !== null) {
      this._unstored = offer.at;
      try {
        this._storage.setItem(this._name, offer.at);
      } catch {
        // A browser that stores nothing forgets it with the page.
      }
      this._changed.emit();
    }
  }

  /** Delete one entry. A failure costs nothing: the server deletes it after a week. */
  async forget(id: string): Promise<void> {
    await this._api.forgetStopped(id).catch(() => undefined);
    await this.load();
  }

  /** Whether the entries of all removals in the report have been requested, and answered. */
  get settled(): boolean {
    return this._requests === 0 && this._loadedFor === this._newestRemoval();
  }

  async load(): Promise<void> {
    this._loadedFor = this._newestRemoval();
    this._requests += 1;
    try {
      const answer = await this._api.stopped();
      this._entries = answer.stopped;
      this._serverStarted = answer.server_started;
    } catch {
      // The panel shows that the server does not answer; the next removal asks again.
    } finally {
      this._requests -= 1;
    }
    this._changed.emit();
  }

  private async _follow(): Promise<void> {
    const visible = document.visibilityState !== 'hidden';
    if (visible && this._loadedFor !== null && this._loadedFor !== this._newestRemoval()) {
      await this.load();
    }
  }

  private _newestRemoval(): string {
    const { report } = this._poller.state;
    const instants = (report?.outcomes ?? []).filter(ended).map(({ at, id }) => `${at} ${id}`);
    return instants.sort().pop() ?? '';
  }

  private get _dismissed(): string | null {
    try {
      return this._unstored ?? this._storage.getItem(this._name);
    } catch {
      return null;
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _entries: IStoppedEntry[] = [];
  private _serverStarted = '';
  /** The newest removal when the entries were requested last; null: not requested yet. */
  private _loadedFor: string | null = null;
  private _requests = 0;
  private _unstored: string | null = null;
}
