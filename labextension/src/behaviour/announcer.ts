import type { TranslationBundle } from '@jupyterlab/translation';

import type { Claims, IDeadline } from './claims';
import { announced, deadlines, keepChoices, keepers, warning } from '../model/report';
import type { Poller } from './poller';
import { duration } from '../model/durations';
import type { INotifications } from './notifications';
import type { IResource } from '../model/types';
import { announcement } from '../model/phrases';

interface IShown {
  keys: string[];
  message: string;
  resources: IResource[];
}

interface IOptions {
  poller: Poller;
  claims: Claims;
  notifications: INotifications;
  trans: TranslationBundle;
  /** How many milliseconds before the deadline its notification is shown; null: never. */
  lead(): number | null;
  keep(resources: IResource[], hours: number): void;
  stopNow(resources: IResource[]): void;
  open(): void;
}

export function deadlineKey(resource: IResource): string {
  return `${resource.kind} ${resource.id} ${resource.idle_since ?? ''}`;
}

/**
 * One notification for each deadline, in the page that the user looks at. It disappears when the
 * user closes it, when the resources are in use again, and when the deadline is over.
 */
export class Announcer {
  constructor(private readonly _options: IOptions) {
    _options.poller.changed.connect(() => void this.update());
    _options.notifications.onClosed(id => this._closed(id));
    window.addEventListener('pagehide', () => this._leave());
  }

  async update(): Promise<void> {
    const { poller, claims, lead } = this._options;
    const { report, error } = poller.state;
    if (document.visibilityState === 'hidden') {
      this._leave();
      return;
    }
    if (report === null || error !== null || this._busy) {
      return;
    }
    const now = poller.now;
    const most = lead();
    const due = announced(report, now).filter(r => {
      const left = warning(r, now);
      return most !== null && left !== null && left > 0 && left <= most;
    });
    this._withdraw(due);
    if (due.length === 0) {
      return;
    }
    this._busy = true;
    try {
      const wanted: IDeadline[] = due.map(r => ({
        key: deadlineKey(r),
        due: Date.parse(r.due_at ?? '')
      }));
      const mine = new Set(await claims.take(wanted, Date.now()));
      const shown = new Set([...this._shown.values()].flatMap(({ keys }) => keys));
      const fresh = due.filter(r => mine.has(deadlineKey(r)) && !shown.has(deadlineKey(r)));
      deadlines(fresh).forEach(group => this._show(group, now));
    } finally {
      this._busy = false;
    }
  }

  /** All resources, so that two resources with the same title get different names. */
  private get _all(): IResource[] {
    return this._options.poller.state.report?.resources ?? [];
  }

  private _show(resources: IResource[], now: number): void {
    const { poller, notifications, trans, keep, stopNow, open } = this._options;
    const most = poller.state.report?.policy.limits.max_keep_alive_minutes ?? 60;
    const hours = keepChoices(most)[0];
    const message = announcement(resources, this._all, now, trans);
    const id = notifications.show(message, [
      {
        label: trans.__('Keep %1', duration(hours * 3_600_000, trans)),
        primary: true,
        press: () => keep(keepers(resources), hours)
      },
      ...(poller.state.report?.policy.remember_stopped
        ? [
            {
              label: trans.__('Stop now…'),
              caption: trans.__('Stop now and bring back later'),
              press: (): void => stopNow(this._shown.get(id)?.resources ?? resources)
            }
          ]
        : // A notification has room for two buttons; the status bar opens the panel, too.
          [{ label: trans.__('Show'), press: open }])
    ]);
    this._shown.set(id, { keys: resources.map(deadlineKey), message, resources });
  }

  /** Withdraw the notifications of resources that were used again, kept or removed. */
  private _withdraw(due: IResource[]): void {
    const { poller, notifications, trans } = this._options;
    const still = new Set(due.map(deadlineKey));
    for (const [id, shown] of [...this._shown]) {
      const left = shown.resources.filter(r => still.has(deadlineKey(r)));
      if (left.length === 0) {
        this._shown.delete(id);
        notifications.dismiss(id);
      } else if (left.length < shown.resources.length) {
        shown.resources = left;
        shown.message = announcement(left, this._all, poller.now, trans);
        notifications.update(id, shown.message);
      }
    }
  }

  private _closed(id: string): void {
    const shown = this._shown.get(id);
    if (shown !== undefined) {
      this._shown.delete(id);
      void this._options.claims.read(shown.keys);
    }
  }

  /** The page is hidden: the page that the user looks at now shows them instead. */
  private _leave(): void {
    const shown = [...this._shown];
    this._shown.clear();
    shown.forEach(([id]) => this._options.notifications.dismiss(id));
    if (shown.length > 0) {
      void this._options.claims.release(shown.flatMap(([, { keys }]) => keys));
    }
  }

  private readonly _shown = new Map<string, IShown>();
  private _busy = false;
}
