import * as React from 'react';

import { Dialog, ReactWidget, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';

import type { Afterwards } from './stoppedmessages';
import type { Api } from './api';
import type { Choices } from './serversettings';
import type { Poller } from './poller';
import { loss } from '../model/sentences';
import type { Change, IResource, Kind } from '../model/types';
import { View } from '../view/panelview';
import type { IActions } from '../view/props';
import { title } from '../model/words';

export interface IPanelOptions {
  api: Api;
  poller: Poller;
  choices: Choices;
  afterwards: Afterwards;
  trans: TranslationBundle;
  /** Whether announcements are to be shown in the panel. */
  announces(): boolean;
  preferences: (() => void) | null;
  visit(path: string): void;
}

/** The side panel. */
export class Panel extends ReactWidget implements IActions {
  constructor(private readonly _options: IPanelOptions) {
    super();
    const { poller, choices, trans, preferences, visit } = _options;
    this.id = 'jupyterlab-auto-shutdown-panel';
    this.addClass('jp-AutoShutdown');
    this.title.caption = trans.__('Auto Shutdown');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.caption);
    this.preferences = preferences;
    this.visit = visit;
    poller.changed.connect(() => this.update());
    choices.changed.connect(() => this.update());
  }

  readonly preferences: (() => void) | null;
  readonly visit: (path: string) => void;

  readonly keep = (kind: Kind | 'all', id: string, minutes: number | null): void => {
    void this._do(() => this._options.api.keep(kind, id, minutes));
  };

  readonly keepAll = (resources: IResource[], hours: number): void => {
    void this._do(() =>
      Promise.all(resources.map(r => this._options.api.keep(r.kind, r.id, hours * 60)))
    );
  };

  readonly remove = (resource: IResource): void => {
    void this._askAndRemove(resource);
  };

  readonly check = (): void => {
    const { api, poller } = this._options;
    void this._do(async () => poller.take(await api.check()));
  };

  readonly change = (change: Change): Promise<void> => this._options.choices.patch(change);

  readonly openSettings = (open: boolean): void => {
    if (open !== this._settingsOpen) {
      this._settingsOpen = open;
      this._options.choices.wanted = open;
      this.update();
    }
  };

  /** Open the settings and put the cursor there. */
  async showSettings(): Promise<void> {
    this.openSettings(true);
    const deadline = Date.now() + 5_000;
    // They may have to be asked for first.
    while (Date.now() < deadline && !this.isDisposed) {
      const first = this.node.querySelector<HTMLElement>('[data-setting] input:enabled');
      if (first !== null) {
        first.scrollIntoView({ block: 'center' });
        first.focus();
        return;
      }
      await new Promise(resolve => window.setTimeout(resolve, 50));
    }
  }

  protected render(): JSX.Element {
    const { poller, choices, afterwards, announces, trans } = this._options;
    return (
      <View
        state={poller.state}
        now={poller.now}
        choices={choices.value}
        settingsOpen={this._settingsOpen}
        announces={announces()}
        removals={afterwards.removals}
        trans={trans}
        actions={this}
      />
    );
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._options.poller.seen = true;
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._options.poller.seen = false;
  }

  /** Nothing is drawn for nobody. */
  protected onUpdateRequest(message: Message): void {
    if (this.isVisible) {
      super.onUpdateRequest(message);
    }
  }

  private async _askAndRemove(resource: IResource): Promise<void> {
    const { api, poller, trans } = this._options;
    const platform = poller.state.report?.platform.kind ?? 'local';
    const answer = await showDialog({
      title: trans.__('Shut down %1 now?', title(resource, trans)),
      body: loss(resource.kind, platform, trans),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.warnButton({ label: trans.__('Shut down') })
      ]
    });
    if (answer.button.accept) {
      await this._do(() => api.remove(resource.kind, resource.id));
    }
  }

  private async _do(action: () => Promise<unknown>): Promise<void> {
    const { poller, trans } = this._options;
    try {
      await action();
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      await showErrorMessage(trans.__('Auto Shutdown'), said);
    }
    await poller.acted();
  }

  private _settingsOpen = false;
}
