import { ReactWidget, showErrorMessage } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';

import { localPath } from '../model/names';
import type { Change, IReport, IResource, IStoppedEntry, Kind } from '../model/types';
import { h } from '../view/jsx';
import { OnDemand, Part } from '../view/ondemand';
import type { IActions, ILook, IPanelProps } from '../view/props';
import type { Api } from './api';
import { failureWords } from './api';
import type { BringBack } from './bringback';
import type { Look } from './look';
import type { Poller } from './poller';
import { Press } from './press';
import type { IRemovalHost } from './removaldialogs';
import type { ServerSettings } from './serversettings';
import type { StoppedEntries } from './stoppedentries';
import type { StoppedMessages } from './stoppedmessages';

export interface IPanelOptions {
  api: Api;
  poller: Poller;
  settings: ServerSettings;
  stopped: StoppedMessages;
  entries: StoppedEntries;
  bringBack: BringBack;
  /** Save the unsaved documents of these kernels. */
  save(kernels: string[]): Promise<unknown>;
  look: Look;
  trans: TranslationBundle;
  /** Whether announcements are to be shown in the panel. */
  announces(): boolean;
  /** Shows Markdown; null where the host has no such thing. */
  rendermime: IRenderMimeRegistry | null;
  preferences: (() => void) | null;
  openNotebook(path: string): void;
  openTerminal(name: string): void;
}

type RemovalDialogs = typeof import('./removaldialogs');

/** A page on which nobody opens the panel does not load this code. */
const VIEW = new Part<IPanelProps>(
  async () => (await import(/* webpackChunkName: "view" */ '../view/panelview')).PanelView
);

/** The side panel. */
export class PanelWidget extends ReactWidget implements IActions {
  constructor(private readonly _options: IPanelOptions) {
    super();
    const { poller, look, trans, preferences, openNotebook } = _options;
    this.id = 'jupyterlab-auto-shutdown-panel';
    this.addClass('jp-AutoShutdown');
    this.title.caption = trans.__('Auto Shutdown');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.caption);
    this.preferences = preferences;
    this.visit = path => openNotebook(localPath(path));
    this._press = new Press(this.node, document, () => this.update());
    poller.changed.connect(() => this.update());
    _options.entries.changed.connect(() => this.update());
    _options.bringBack.changed.connect(() => this.update());
    // The view itself follows the look and the settings.
    look.changed.connect(() => this._requestSettings());
    this._requestSettings();
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

  readonly keep = (kind: Kind | 'all', id: string, minutes: number | null, note?: string): void => {
    void this.keepAndTell(kind, id, minutes, note);
  };

  /** Keep it; whether the server did. */
  keepAndTell(
    kind: Kind | 'all',
    id: string,
    minutes: number | null,
    note?: string
  ): Promise<boolean> {
    return this._do(() => this._options.api.keep(kind, id, minutes, note));
  }

  readonly keepAll = (resources: IResource[], hours: number): void => {
    void this._do(() =>
      Promise.all(resources.map(r => this._options.api.keep(r.kind, r.id, hours * 60)))
    );
  };

  readonly remove = (resource: IResource): void => {
    void this._ask((dialogs, host) => dialogs.askAndRemove(resource, host));
  };

  readonly removeIdle = (): void => {
    void this._ask((dialogs, host) => dialogs.askAndRemoveIdle(host));
  };

  readonly stopNow = (resources: IResource[]): void => {
    void this._ask((dialogs, host) => dialogs.askAndStopNow(resources, host));
  };

  readonly bringBack = (entries: IStoppedEntry[]): void => {
    void this._bringBack(entries);
  };

  readonly runAgain = (entry: IStoppedEntry): void => {
    void this._options.bringBack.run(entry);
  };

  readonly dismissOffer = (): void => this._options.entries.dismissOffer();

  readonly check = (): void => {
    void this.checkNow();
  };

  /** Run a pass; whether the server did. */
  checkNow(): Promise<boolean> {
    const { api, poller } = this._options;
    return this._do(async () => poller.take(await api.check()));
  }

  readonly change = (change: Change): Promise<void> => this._options.settings.patch(change);

  readonly released = (): Promise<void> => this._press.released();

  readonly look = (change: Partial<ILook>): void => this._options.look.change(change);

  readonly help = (): void => void this._do(() => this._showHelp());

  readonly showSettings = (): void => void this.openSettings();

  /** Unfold the settings and put the cursor there. */
  async openSettings(): Promise<void> {
    const { look } = this._options;
    look.change({ folded: look.value.folded.filter(name => name !== 'settings') });
    // The code of the view may have to be loaded first, and the settings requested. A user who types
    // or clicks meanwhile keeps the focus: a key meant for a notebook could switch a setting.
    const deadline = Date.now() + 30_000;
    let waiting = true;
    const stopWaiting = (): void => {
      waiting = false;
    };
    const inputs = ['keydown', 'pointerdown'];
    inputs.forEach(name => document.addEventListener(name, stopWaiting, true));
    while (waiting && Date.now() < deadline && !this.isDisposed) {
      const first = this.node.querySelector<HTMLElement>('[data-setting] input:enabled');
      if (first !== null) {
        first.scrollIntoView({ block: 'center' });
        first.focus();
        break;
      }
      await new Promise(resolve => window.setTimeout(resolve, 50));
    }
    inputs.forEach(name => document.removeEventListener(name, stopWaiting, true));
  }

  protected render(): JSX.Element {
    const { poller, settings, stopped, entries, bringBack, announces, look, trans } = this._options;
    const { state } = poller;
    const props: IPanelProps = {
      state,
      now: poller.now,
      settings,
      look,
      announces: announces(),
      removals: stopped.removals,
      returns: {
        offer: entries.offer,
        of: outcome => entries.of(outcome),
        isStarting: entry => bringBack.isStarting(entry)
      },
      trans,
      actions: this
    };
    return <OnDemand part={VIEW} with={props} reachable={state.error === null} trans={trans} />;
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._options.poller.seen = true;
    this._requestSettings();
    this.update();
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._options.poller.seen = false;
    this._requestSettings();
  }

  /** A panel that nobody sees is not drawn; neither is one in which a button is pressed, until the
   * button is released. */
  protected onUpdateRequest(message: Message): void {
    if (this.isVisible && !this._press.active) {
      super.onUpdateRequest(message);
    }
  }

  /** The settings are requested only while their form is seen. */
  private _requestSettings(): void {
    const { look, settings } = this._options;
    settings.wanted = this.isVisible && !look.value.folded.includes('settings');
  }

  private async _showHelp(): Promise<void> {
    const { showHelp } = await import(/* webpackChunkName: "dialogs" */ './help');
    await showHelp(this._options.trans, this._options.rendermime);
  }

  private async _bringBack(entries: IStoppedEntry[]): Promise<void> {
    const { bringBack, poller } = this._options;
    const offered = this._options.entries.offer?.entries.some(({ id }) => id === entries[0].id);
    await bringBack.start(entries);
    if (offered) {
      this.dismissOffer();
    }
    await poller.acted();
  }

  /** Ask in a dialog before something is removed. The code of the dialogs is loaded first. */
  private async _ask(
    question: (dialogs: RemovalDialogs, host: IRemovalHost) => Promise<void>
  ): Promise<void> {
    const { api, poller, save, trans } = this._options;
    const { report } = this;
    if (report === null) {
      return;
    }
    try {
      const dialogs = await import(/* webpackChunkName: "dialogs" */ './removaldialogs');
      const attempt = (requests: () => Promise<unknown>): Promise<boolean> => this._do(requests);
      await question(dialogs, { api, report, now: poller.now, trans, save, attempt });
    } catch (error) {
      await showErrorMessage(trans.__('Auto Shutdown'), failureWords(error, trans));
    }
  }

  private async _do(action: () => Promise<unknown>): Promise<boolean> {
    const { poller, trans } = this._options;
    let failure: string | null = null;
    try {
      await action();
    } catch (error) {
      failure = failureWords(error, trans);
    }
    // The panel is refreshed before the user answers the dialog: the server may have stopped.
    const refreshed = poller.acted();
    if (failure !== null) {
      await showErrorMessage(trans.__('Auto Shutdown'), failure);
    }
    await refreshed;
    return failure === null;
  }

  private readonly _press: Press;
}
