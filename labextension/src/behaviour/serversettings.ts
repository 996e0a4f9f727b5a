import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { Api } from './api';
import { settingsDiffer } from '../model/report';
import type { Poller } from './poller';
import type { Change, ISettingsAnswer } from '../model/types';

/** The settings on the server: what is in force, the user's own, the defaults, the locks. */
export class ServerSettings {
  constructor(
    private readonly _api: Pick<Api, 'settings' | 'patch'>,
    private readonly _poller: Poller
  ) {
    _poller.changed.connect(() => this._follow());
  }

  get value(): ISettingsAnswer | null {
    return this._value;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether the form is open: only then the settings are requested. */
  set wanted(value: boolean) {
    this._wanted = value;
    this._follow();
  }

  /** Change some settings, after the changes that were asked for before: two requests side by side
   * could arrive in the other order. Rejects with the error of the server; then nothing has
   * changed. */
  patch(change: Change): Promise<void> {
    const sent = this._lastPatch.then(async () => {
      this._take(await this._api.patch(change));
      void this._poller.acted();
    });
    this._lastPatch = sent.catch(() => undefined);
    return sent;
  }

  /** Request the settings at first, and when another page or an administrator has changed them. */
  private _follow(): void {
    const { report, error } = this._poller.state;
    const policy = report?.policy;
    if (!this._wanted || policy === undefined || error !== null || this._asking) {
      return;
    }
    const known = this._value === null ? '' : JSON.stringify(this._value.limits);
    const outdated =
      this._value === null ||
      known !== JSON.stringify(policy.limits) ||
      settingsDiffer(this._value.settings, policy);
    if (outdated && this._askedFor !== JSON.stringify(policy)) {
      this._askedFor = JSON.stringify(policy);
      this._asking = true;
      this._api
        .settings()
        .then(value => this._take(value))
        .catch(() => {
          this._askedFor = ''; // the poller shows the error; the next answer tries again
        })
        .finally(() => {
          this._asking = false;
        });
    }
  }

  private _take(value: ISettingsAnswer): void {
    this._value = value;
    this._askedFor = '';
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _lastPatch: Promise<void> = Promise.resolve();
  private _value: ISettingsAnswer | null = null;
  private _wanted = false;
  private _asking = false;
  private _askedFor = '';
}
