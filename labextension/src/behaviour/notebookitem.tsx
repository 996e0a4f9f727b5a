import * as React from 'react';
import { createElement as h } from 'react';

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ReactWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import { duration } from '../model/durations';
import { announced, keepChoices, warning } from '../model/report';
import type { Poller } from './poller';
import { kernelOf } from './widgets';

interface IToolbar {
  addItem(name: string, widget: Widget): boolean;
}

/** In the toolbar of a notebook: `stops in 5 m`, a click keeps it; nothing while none is due. */
class NotebookItem extends ReactWidget {
  constructor(
    private readonly _notebook: Widget,
    private readonly _poller: Poller,
    private readonly _keep: (kernel: string, minutes: number) => void,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-AS-notebookItem');
    _poller.changed.connect(this._onChanged, this);
  }

  dispose(): void {
    this._poller.changed.disconnect(this._onChanged, this);
    super.dispose();
  }

  protected render(): JSX.Element {
    const { report, error } = this._poller.state;
    const kernel = kernelOf(this._notebook);
    const now = this._poller.now;
    const due =
      report === null || error !== null
        ? undefined
        : announced(report, now).find(r => r.kind === 'kernel' && r.id === kernel);
    if (report === null || due === undefined) {
      return <></>;
    }
    const trans = this._trans;
    const hours = keepChoices(report.policy.limits.max_keep_alive_minutes)[0];
    const left = duration(warning(due, now) ?? 0, trans);
    return (
      <button
        type="button"
        className="jp-AS-button"
        title={trans.__('Keep it for %1', duration(hours * 3_600_000, trans))}
        onClick={() => this._keep(due.id, hours * 60)}
      >
        {trans.__('stops in %1 · Keep', left)}
      </button>
    );
  }

  private _onChanged(): void {
    this.update();
  }
}

/** Add the item to the toolbar of each notebook. */
export function addNotebookItems(
  app: JupyterFrontEnd,
  poller: Poller,
  keep: (kernel: string, minutes: number) => void,
  trans: TranslationBundle
): void {
  app.docRegistry.addWidgetExtension('Notebook', {
    createNew: notebook => {
      const item = new NotebookItem(notebook as unknown as Widget, poller, keep, trans);
      const { toolbar } = notebook as unknown as { toolbar?: IToolbar };
      toolbar?.addItem('auto-shutdown', item);
      return item;
    }
  });
}
