import type { JupyterFrontEnd } from '@jupyterlab/application';

import type { Api } from './api';
import { mainWidgets, usedIn } from './widgets';
import type { IReport, Kind } from '../model/types';

const EVENTS = ['keydown', 'pointerdown', 'wheel'] as const;
const AT_MOST_EVERY = 60_000;

/**
 * Tells the server that a person is at work: a real key, click or scroll, at most once a minute for
 * each thing, and only for the thing that it went to. What a script does counts for nothing, nor
 * does a tab that is merely open.
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
    if (used === null) {
      return;
    }
    const key = `${used.kind} ${used.id}`;
    const now = Date.now();
    if (now - (this._told.get(key) ?? -Infinity) >= AT_MOST_EVERY) {
      this._told.set(key, now);
      // Whatever is wrong with the server is told elsewhere, and not at each key.
      this._api.presence(used.kind, used.id).catch(() => undefined);
    }
  };

  /** A text file has no kernel: what is used is the app that the server itself runs in. */
  private _ownApp(): { kind: Kind; id: string } | null {
    const report = this._report();
    if (!['studio-space', 'notebook-instance'].includes(report?.platform.kind ?? '')) {
      return null;
    }
    const app = report?.resources.find(r => r.kind === 'app');
    return app === undefined ? null : { kind: 'app', id: app.id };
  }

  private readonly _told = new Map<string, number>();
}
