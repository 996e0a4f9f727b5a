import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ILook } from '../view/props';

const DEFAULT: ILook = { folded: ['settings'], filtering: false, filter: '', order: 'place' };

/** The number of folded sections, instances and apps that the browser stores. */
const REMEMBERED = 100;

/** How the user has arranged the panel: what is folded, and the order; kept in the browser. */
export class Look {
  constructor(
    private readonly _storage: Pick<Storage, 'getItem' | 'setItem'>,
    private readonly _name: string
  ) {
    this._value = { ...DEFAULT, ...this._load() };
  }

  get value(): ILook {
    return this._value;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  change(change: Partial<ILook>): void {
    this._value = { ...this._value, ...change };
    const { folded, order } = this._value;
    try {
      this._storage.setItem(
        this._name,
        JSON.stringify({ folded: folded.slice(-REMEMBERED), order })
      );
    } catch {
      // A browser that stores nothing forgets the arrangement with the page.
    }
    this._changed.emit();
  }

  private _load(): Partial<ILook> {
    try {
      const stored = JSON.parse(this._storage.getItem(this._name) ?? '{}') as Partial<ILook>;
      const folded = Array.isArray(stored.folded) ? stored.folded : DEFAULT.folded;
      const known = ['place', 'name', 'soonest'];
      const order = known.includes(stored.order ?? '') ? stored.order : DEFAULT.order;
      return { folded, order };
    } catch {
      return {};
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _value: ILook;
}
