import * as React from 'react';
import { createElement as h } from 'react';

import { ReactWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { messageOf } from '../model/servertexts';
import { countdown, health } from '../model/phrases';
import { panelIcon } from '../view/panelicon';
import type { Poller } from './poller';
import type { Preferences } from './preferences';

/** The item in the status bar: quiet when all is well, the next announced stop, or red when
 * nothing can be stopped. */
export class StatusItem extends ReactWidget {
  constructor(
    private readonly _poller: Poller,
    private readonly _preferences: Preferences,
    private readonly _open: () => void,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-AS-status');
    _poller.changed.connect(() => this.update());
    _preferences.changed.connect(() => this.update());
  }

  protected render(): JSX.Element {
    const trans = this._trans;
    if (!this._preferences.value.statusBar) {
      return <></>;
    }
    const { report, error } = this._poller.state;
    const now = this._poller.now;
    const bad = error !== null || report?.health.state === 'failing';
    const due = bad || report === null ? null : countdown(report, now, trans);
    const words = bad ? trans.__('Auto Shutdown cannot work') : due;
    const why = [health(this._poller.state, trans)];
    why.push(
      ...(error === null ? (report?.health.faults.map(f => messageOf(f, trans)) ?? []) : [])
    );
    return (
      <button
        type="button"
        className={`jp-AS-statusButton${bad ? ' jp-mod-bad' : due ? ' jp-mod-warn' : ''}`}
        title={why.join(' ')}
        aria-label={trans.__('Auto Shutdown: %1. Open its panel', words ?? why[0])}
        onClick={this._open}
      >
        <panelIcon.react tag="span" elementPosition="center" height="14px" width="14px" />
        {words !== null && <span>{words}</span>}
      </button>
    );
  }
}
