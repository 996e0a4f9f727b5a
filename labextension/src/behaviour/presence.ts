import type { JupyterFrontEnd } from '@jupyterlab/application';

import type { Api } from './api';
import type { Poller } from './poller';
import { mainWidgets, usedIn } from './widgets';
import type { Kind } from '../model/types';

const EVENTS = ['keydown', 'pointerdown', 'wheel'] as const;
const AT_MOST_EVERY = 60_000;

/**
 * Reports to the server that a person uses a notebook or terminal: after a real key, click or
 * scroll in it, at most once a minute for each. Neither events made by a script nor a tab that is
 * merely open count. Nothing is sent for a kernel that is gone: the server would answer 404.
 */
export class Presence {
  constructor(
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _api: Pick<Api, 'presence'>,
    private readonly _enabled: () => boolean,
    private readonly _poller: Pick<Poller, 'state' | 'refresh'>
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
    if (used === null) {
      return;
    }
    const key = `${used.kind} ${used.id}`;
    const now = Date.now();
    if (now - (this._lastReported.get(key) ?? -Infinity) >= AT_MOST_EVERY) {
      this._lastReported.set(key, now);
      void this._report(used);
    }
  };

  private async _report(used: { kind: Kind; id: string }): Promise<void> {
    if (!this._isListed(used)) {
      await this._poller.refresh(); // it is new, or gone
    }
    if (this._isListed(used)) {
      // The panel shows what is wrong with the server.
      await this._api.presence(used.kind, used.id).catch(() => undefined);
    }
  }

  private _isListed({ kind, id }: { kind: Kind; id: string }): boolean {
    return this._poller.state.report?.resources.some(r => r.kind === kind && r.id === id) ?? false;
  }

  /** A text file has no kernel: its user uses the app that the server itself runs in. */
  private _ownApp(): { kind: Kind; id: string } | null {
    const { report } = this._poller.state;
    if (!['studio-space', 'notebook-instance'].includes(report?.platform.kind ?? '')) {
      return null;
    }
    const app = report?.resources.find(r => r.kind === 'app');
    return app === undefined ? null : { kind: 'app', id: app.id };
  }

  private readonly _lastReported = new Map<string, number>();
}
