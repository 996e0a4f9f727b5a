/** A deadline that moves by no more than this is the same one; later, and it is a new one. */
const SAME = 120_000;
/** A page that has not renewed its claim for so long has crashed. */
const STALE = 90_000;
const FORGET = 3_600_000;

interface IClaim {
  /** The page that shows it. */
  page: string;
  /** The deadline. */
  due: number;
  /** When the claim was renewed. */
  at: number;
  /** Whether it has been read: then no page shows it again. */
  read: boolean;
}

export interface IDeadline {
  key: string;
  due: number;
}

/**
 * Which page of this browser announces what. Each deadline is shown by one page, however many are
 * open: the first that asks. It lies in the local storage, below a lock where the browser has one.
 */
export class Claims {
  constructor(
    private readonly _storage: Pick<Storage, 'getItem' | 'setItem'>,
    private readonly _name: string,
    private readonly _page: string
  ) {}

  /** Claim these, or renew the claim; the keys of those that are this page's to show. */
  take(wanted: IDeadline[], now: number): Promise<string[]> {
    return this._locked(claims => {
      const mine: string[] = [];
      for (const { key, due } of wanted) {
        const found = claims.get(key);
        const same = found !== undefined && due - found.due < SAME;
        const others = same && found.page !== this._page && now - found.at < STALE;
        if (same && (found.read || others)) {
          continue;
        }
        claims.set(key, { page: this._page, due: same ? found.due : due, at: now, read: false });
        mine.push(key);
      }
      for (const [key, claim] of [...claims]) {
        if (claim.due < now - FORGET) {
          claims.delete(key);
        }
      }
      return mine;
    });
  }

  /** The person has read these: no page shows them again. */
  read(keys: string[]): Promise<void> {
    return this._locked(claims => {
      for (const key of keys) {
        const found = claims.get(key);
        if (found !== undefined) {
          found.read = true;
        }
      }
    });
  }

  /** This page cannot be seen any more: another may show them. */
  release(keys: string[]): Promise<void> {
    return this._locked(claims => {
      for (const key of keys) {
        const found = claims.get(key);
        if (found?.page === this._page && !found.read) {
          claims.delete(key);
        }
      }
    });
  }

  private async _locked<T>(change: (claims: Map<string, IClaim>) => T): Promise<T> {
    const work = (): T => {
      const claims = this._load();
      const result = change(claims);
      try {
        this._storage.setItem(this._name, JSON.stringify(Object.fromEntries(claims)));
      } catch {
        // A browser that stores nothing: each page then announces for itself.
      }
      return result;
    };
    // Only https and localhost have locks; without one two pages may rarely show the same.
    const locks = typeof navigator === 'undefined' ? undefined : navigator.locks;
    return locks === undefined ? work() : await locks.request(this._name, work);
  }

  private _load(): Map<string, IClaim> {
    try {
      const found: unknown = JSON.parse(this._storage.getItem(this._name) ?? '{}');
      return new Map(Object.entries((found ?? {}) as Record<string, IClaim>));
    } catch {
      return new Map();
    }
  }
}
