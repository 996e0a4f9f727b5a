import * as React from 'react';

import { Dialog, ReactWidget, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';

import type { Api } from './api';
import { title } from './model';
import type { Poller } from './poller';
import type { IResource } from './types';
import { View } from './view';
import type { IActions } from './view';

/** The side panel. */
export class Panel extends ReactWidget implements IActions {
  constructor(
    private readonly _api: Api,
    private readonly _poller: Poller,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.id = 'jupyterlab-auto-shutdown-panel';
    this.addClass('jp-AutoShutdown');
    this.title.caption = _trans.__('Auto shutdown');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.caption);
    _poller.changed.connect(this._redraw, this);
  }

  keep(resource: IResource, hours: number | null): void {
    const minutes = hours === null ? null : hours * 60;
    void this._do(() => this._api.keep(resource.kind, resource.id, minutes));
  }

  remove(resource: IResource): void {
    void this._askAndRemove(resource);
  }

  check(): void {
    void this._do(async () => this._poller.take(await this._api.check()));
  }

  async change(change: Parameters<Api['patch']>[0]): Promise<void> {
    await this._api.patch(change);
    await this._poller.refresh();
  }

  protected render(): JSX.Element {
    return (
      <View
        state={this._poller.state}
        now={Date.now()}
        trans={this._trans}
        actions={{
          keep: this.keep.bind(this),
          remove: this.remove.bind(this),
          check: this.check.bind(this),
          change: this.change.bind(this)
        }}
      />
    );
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._poller.seen = true;
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._poller.seen = false;
  }

  private _redraw(): void {
    // A field that somebody writes in is not drawn anew below their fingers.
    if (!(
      document.activeElement instanceof HTMLInputElement &&
      this.node.contains(document.activeElement)
    )) {
      this.update();
    }
  }

  private async _askAndRemove(resource: IResource): Promise<void> {
    const trans = this._trans;
    const lost =
      resource.kind === 'app'
        ? trans.__(
            'What is in the memory of its kernels is lost, and what was put into its container ' +
              'outside your home folder. Files in your home folder are kept. On Studio Classic ' +
              'AWS may not let you start such an app again.'
          )
        : trans.__('What is in its memory is lost. Files are kept.');
    const answer = await showDialog({
      title: trans.__('Shut down %1 now?', title(resource)),
      body: lost,
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Shut down') })]
    });
    if (answer.button.accept) {
      await this._do(() => this._api.remove(resource.kind, resource.id));
    }
  }

  private async _do(action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      await showErrorMessage(this._trans.__('Auto shutdown'), said);
    }
    await this._poller.refresh();
  }
}
