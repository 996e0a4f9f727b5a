import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

/** What only this browser's user interface does; schema/plugin.json has the same defaults. */
export interface IPreferences {
  statusBar: boolean;
  notifications: boolean;
  /** Minutes before the end from which on a notification is shown; 0: as soon as it is announced. */
  notificationLeadMinutes: number;
  presence: boolean;
}

const DEFAULTS: IPreferences = {
  statusBar: true,
  notifications: true,
  notificationLeadMinutes: 0,
  presence: true
};

/** The preferences as the host's settings have them; the defaults where it has no settings. */
export class Preferences {
  get value(): IPreferences {
    return this._value;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Milliseconds before the end; null: no notifications. */
  get lead(): number | null {
    const { notifications, notificationLeadMinutes: minutes } = this._value;
    return !notifications ? null : minutes > 0 ? minutes * 60_000 : Infinity;
  }

  async follow(registry: ISettingRegistry, plugin: string): Promise<void> {
    const settings = await registry.load(plugin);
    const take = (): void => {
      this._value = { ...DEFAULTS, ...(settings.composite as Partial<IPreferences>) };
      this._changed.emit();
    };
    settings.changed.connect(take);
    take();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _value = DEFAULTS;
}
