import * as React from 'react';

import { ReactWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { duration, nextDue, title, warning } from './model';
import type { Poller } from './poller';

/** Quiet when all is well; says what stops next once that is announced, and what is wrong. */
export class StatusItem extends ReactWidget {
  constructor(
    private readonly _poller: Poller,
    private readonly _open: () => void,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-AutoShutdown-status');
    _poller.changed.connect(() => this.update(), this);
  }

  protected render(): JSX.Element {
    const { report, error } = this._poller.state;
    const bad = error !== null || (report !== null && report.health.state === 'failing');
    return (
      <button
        className={`jp-AutoShutdown-statusButton${bad ? ' jp-mod-bad' : ''}`}
        title={this._trans.__('Auto shutdown: open its panel')}
        onClick={this._open}
      >
        {this._words(bad)}
      </button>
    );
  }

  private _words(bad: boolean): string {
    const { report } = this._poller.state;
    if (bad) {
      return this._trans.__('Auto shutdown: trouble');
    }
    const now = Date.now();
    const due = report === null ? null : nextDue(report, now);
    if (due === null) {
      return this._trans.__('Auto shutdown');
    }
    return this._trans.__('%1 stops in %2', title(due), duration(warning(due, now) ?? 0));
  }
}
