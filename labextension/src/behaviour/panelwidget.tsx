import { Dialog, ReactWidget, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';

import { localPath, nameAmong } from '../model/names';
import { loss } from '../model/promise';
import type { Change, IReport, IResource, Kind } from '../model/types';
import { PanelView } from '../view/panelview';
import type { IActions, ILook } from '../view/props';
import type { Api } from './api';
import { RefusedError } from './api';
import { showHelp } from './help';
import { askWhichIdle } from './idledialog';
import type { Look } from './look';
import type { Poller } from './poller';
import type { ServerSettings } from './serversettings';
import type { StoppedMessages } from './stoppedmessages';
import { h } from '../view/jsx';

export interface IPanelOptions {
  api: Api;
  poller: Poller;
  settings: ServerSettings;
  stopped: StoppedMessages;
  look: Look;
  trans: TranslationBundle;
  /** Whether announcements are to be shown in the panel. */
  announces(): boolean;
  preferences: (() => void) | null;
  openNotebook(path: string): void;
  openTerminal(name: string): void;
}

/** The side panel. */
export class PanelWidget extends ReactWidget implements IActions {
  constructor(private readonly _options: IPanelOptions) {
    super();
    const { poller, settings, look, trans, preferences, openNotebook } = _options;
    this.id = 'jupyterlab-auto-shutdown-panel';
    this.addClass('jp-AutoShutdown');
    this.title.caption = trans.__('Auto Shutdown');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.caption);
    this.preferences = preferences;
    this.visit = path => openNotebook(localPath(path));
    poller.changed.connect(() => this.update());
    settings.changed.connect(() => this.update());
    look.changed.connect(() => this._onLook());
    this._onLook();
  }

  readonly preferences: (() => void) | null;
  readonly visit: (path: string) => void;

  get report(): IReport | null {
    return this._options.poller.state.report;
  }

  readonly opener = (resource: IResource): (() => void) | null => {
    const { openTerminal } = this._options;
    const path = resource.paths[0];
    if (resource.kind === 'kernel' && path) {
      return () => this.visit(path);
    }
    return resource.kind === 'terminal' ? () => openTerminal(resource.name) : null;
  };

  readonly keep = (kind: Kind | 'all', id: string, minutes: number | null): void => {
    void this.keepAndTell(kind, id, minutes);
  };

  /** Keep it; whether the server did. */
  keepAndTell(kind: Kind | 'all', id: string, minutes: number | null): Promise<boolean> {
    return this._do(() => this._options.api.keep(kind, id, minutes));
  }

  readonly keepAll = (resources: IResource[], hours: number): void => {
    void this._do(() =>
      Promise.all(resources.map(r => this._options.api.keep(r.kind, r.id, hours * 60)))
    );
  };

  readonly remove = (resource: IResource): void => {
    void this._askAndRemove(resource);
  };

  readonly removeIdle = (): void => {
    void this._askAndRemoveIdle();
  };

  readonly check = (): void => {
    void this.checkNow();
  };

  /** Run a pass; whether the server did. */
  checkNow(): Promise<boolean> {
    const { api, poller } = this._options;
    return this._do(async () => poller.take(await api.check()));
  }

  readonly change = (change: Change): Promise<void> => this._options.settings.patch(change);

  readonly look = (change: Partial<ILook>): void => this._options.look.change(change);

  readonly help = (): void => void showHelp(this._options.trans);

  readonly showSettings = (): void => void this.openSettings();

  /** Unfold the settings and put the cursor there. */
  async openSettings(): Promise<void> {
    const { look } = this._options;
    look.change({ folded: look.value.folded.filter(name => name !== 'settings') });
    const deadline = Date.now() + 5_000;
    // The settings may have to be requested first.
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
    const { poller, settings, stopped, announces, look, trans } = this._options;
    return (
      <PanelView
        state={poller.state}
        now={poller.now}
        settings={settings.value}
        look={look.value}
        announces={announces()}
        removals={stopped.removals}
        trans={trans}
        actions={this}
      />
    );
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._options.poller.seen = true;
    this._onLook();
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._options.poller.seen = false;
    this._onLook();
  }

  /** A panel that nobody sees is not drawn. */
  protected onUpdateRequest(message: Message): void {
    if (this.isVisible) {
      super.onUpdateRequest(message);
    }
  }

  private _onLook(): void {
    const { look, settings } = this._options;
    settings.wanted = this.isVisible && !look.value.folded.includes('settings');
    this.update();
  }

  private async _askAndRemove(resource: IResource): Promise<void> {
    const { api, trans } = this._options;
    const platform = this.report?.platform.kind ?? 'local';
    const name = nameAmong(resource, this.report?.resources ?? [], trans);
    const answer = await showDialog({
      title: trans.__('Shut down %1 now?', name),
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

  private async _askAndRemoveIdle(): Promise<void> {
    const { api, poller, trans } = this._options;
    if (this.report === null) {
      return;
    }
    const chosen = await askWhichIdle(this.report, poller.now, trans);
    // One after the other: each is a request of its own to SageMaker.
    for (const resource of chosen) {
      await this._do(() => api.remove(resource.kind, resource.id));
    }
  }

  private async _do(action: () => Promise<unknown>): Promise<boolean> {
    const { poller, trans } = this._options;
    let done = true;
    try {
      await action();
    } catch (error) {
      done = false;
      const message =
        error instanceof RefusedError
          ? error.message
          : trans.__('The server does not answer. Nothing was changed.');
      await showErrorMessage(trans.__('Auto Shutdown'), message);
    }
    await poller.acted();
    return done;
  }
}
