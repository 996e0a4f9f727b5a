/**
 * A deadline that moved by less than this is the same deadline. If it moved further, it is
 * announced again.
 */
const SAME = 120_000;
/** A page that has not renewed its claim for this time (milliseconds) counts as crashed. */
const STALE = 90_000;
const FORGET = 3_600_000;

interface IClaim {
  /** The id of the page that shows the notice. */
  page: string;
  /** The deadline, in milliseconds since 1970. */
  due: number;
  /** When the claim was last renewed. */
  at: number;
  /** Whether the user has closed the notice. Then no page shows it again. */
  read: boolean;
}

export interface IDeadline {
  key: string;
  due: number;
}

/**
 * Decides which page of this browser shows the notice of a deadline: the first page that claims it.
 * The claims are in the local storage, and changed under a lock if the browser supports locks.
 */
export class Claims {
  constructor(
    private readonly _storage: Pick<Storage, 'getItem' | 'setItem'>,
    private readonly _name: string,
    private readonly _page: string
  ) {}

  /** Claim these deadlines or renew the claims. Returns the keys of those that this page shows. */
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

  /** The user has closed these notices: no page shows them again. */
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

  /** This page is hidden or left: another page may show these notices. */
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
        // The browser stores nothing: each page shows every notice.
      }
      return result;
    };
    // Browsers have locks only for https and localhost. Without them, two pages can rarely show the
    // same notice.
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
