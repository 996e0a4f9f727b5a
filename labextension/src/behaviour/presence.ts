import type { JupyterFrontEnd } from '@jupyterlab/application';

import type { Api } from './api';
import { mainWidgets, usedIn } from './widgets';
import type { IReport, Kind } from '../model/types';

const EVENTS = ['keydown', 'pointerdown', 'wheel'] as const;
const AT_MOST_EVERY = 60_000;

/**
 * Reports to the server that a person uses a notebook or terminal: after a real key, click or
 * scroll in it, at most once a minute for each. Neither events made by a script nor a tab that is
 * merely open count. Resources that the last report does not list are left out: the server would
 * answer 404 for a kernel that is gone, and a new one needs no presence yet.
 */
export class Presence {
  constructor(
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _api: Pick<Api, 'presence'>,
    private readonly _enabled: () => boolean,
    private readonly _report: () => IReport | null
  ) {
    for (const event of EVENTS) {
      document.addEventListener(event, this._onInput, { capture: true, passive: true });
    }
  }

  private readonly _onInput = (event: Event): void => {
    if (!event.isTrusted || !this._enabled() || !(event.target instanceof Node)) {
      return;
    }
    const target = event.target;
    const widget = mainWidgets(this._shell).find(w => w.node.contains(target));
    const used = widget === undefined ? null : (usedIn(widget) ?? this._ownApp());
    if (used === null || !this._isListed(used)) {
      return;
    }
    const key = `${used.kind} ${used.id}`;
    const now = Date.now();
    if (now - (this._lastReported.get(key) ?? -Infinity) >= AT_MOST_EVERY) {
      this._lastReported.set(key, now);
      // The panel shows what is wrong with the server.
      this._api.presence(used.kind, used.id).catch(() => undefined);
    }
  };

  private _isListed({ kind, id }: { kind: Kind; id: string }): boolean {
    return this._report()?.resources.some(r => r.kind === kind && r.id === id) ?? false;
  }

  /** A text file has no kernel: its user uses the app that the server itself runs in. */
  private _ownApp(): { kind: Kind; id: string } | null {
    const report = this._report();
    if (!['studio-space', 'notebook-instance'].includes(report?.platform.kind ?? '')) {
      return null;
    }
    const app = report?.resources.find(r => r.kind === 'app');
    return app === undefined ? null : { kind: 'app', id: app.id };
  }

  private readonly _lastReported = new Map<string, number>();
}
