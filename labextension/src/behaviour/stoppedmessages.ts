import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import type { Api } from './api';
import { Message } from '../view/message';
import { localPath } from '../model/names';
import { appOf, endOf, removals, telling } from '../model/removals';
import type { Telling } from '../model/removals';
import { contextOf, mainWidgets, restart, sessionOf } from './widgets';
import type { Poller } from './poller';
import type { IButton } from '../view/props';
import { stopped } from '../model/stoppedtext';
import type { IOutcome, IStoppedEntry } from '../model/types';
import type { BringBack } from './bringback';
import type { StoppedEntries } from './stoppedentries';

const REMEMBERED = 200;

/** The message in one document. */
interface IShown {
  message: Message;
  telling: Telling;
  key: string;
  /** What can be brought back; null where nothing can, or no longer. */
  entry: IStoppedEntry | null;
}

/** Shows in each open document that its kernel was stopped, when and why. */
export class StoppedMessages {
  constructor(
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _poller: Poller,
    private readonly _api: Pick<Api, 'history' | 'baseUrl'>,
    private readonly _entries: StoppedEntries,
    private readonly _bringBack: BringBack,
    private readonly _trans: TranslationBundle
  ) {
    _poller.changed.connect(() => this.update());
    _entries.changed.connect(() => this.update());
  }

  /** Load the removals from before this page or this server was started. */
  async loadHistory(): Promise<void> {
    try {
      this._history = await this._api.history(50);
    } catch {
      this._history = []; // the outcomes in the report are shown all the same
    }
    this.update();
  }

  /** The removals, newest first. */
  get removals(): IOutcome[] {
    return removals(this._poller.state.report?.outcomes ?? [], this._history);
  }

  update(): void {
    if (!this._entries.settled) {
      return; // a message keeps its buttons: it is shown when they are known
    }
    const all = this.removals;
    for (const widget of mainWidgets(this._shell)) {
      const session = sessionOf(widget);
      const path = contextOf(widget)?.path ?? session?.path;
      if (session === null || path === undefined) {
        continue;
      }
      const outcome = endOf(localPath(path), all);
      if (outcome !== null) {
        this._show(widget, session, outcome, all);
      }
    }
  }

  private _show(
    widget: Widget,
    session: ISessionContext,
    outcome: IOutcome,
    all: IOutcome[]
  ): void {
    const key = `${outcome.at} ${outcome.id}`;
    const before = this._shown.get(widget);
    const shown = before?.key === key ? before.telling : null;
    const kernel = session.session?.kernel?.id ?? null;
    const now = this._poller.now;
    const entry = this._entries.of(outcome);
    const answered = before !== undefined && before.entry !== null && entry === null;
    let next = this._readKeys.includes(key)
      ? null
      : telling(outcome, kernel, session.isReady, shown, now, !!entry?.cells);
    if (next === 'new-kernel' && shown !== null && answered) {
      next = null; // its cells have been run, or there were none
    }
    const same = before === undefined || (before.key === key && before.entry?.id === entry?.id);
    if (next === shown && same) {
      return;
    }
    before?.message.dispose();
    this._shown.delete(widget);
    if (next === null) {
      this._markRead(key);
      return;
    }
    const platform = this._poller.state.report?.platform.kind ?? 'local';
    const sentences = stopped(outcome, appOf(outcome, all), platform, now, this._trans);
    const buttons = [this._button(next, session, entry)].filter(button => button !== null);
    if (next === 'new-kernel') {
      sentences.push(
        this._trans.__('The kernel that runs now is a new one: run your cells again.')
      );
    }
    const message = new Message(sentences, buttons, {
      label: this._trans.__('Close this message'),
      press: () => {
        this._markRead(key);
        this.update();
      }
    });
    this._shown.set(widget, { message, telling: next, key, entry });
    widget.disposed.connect(() => this._shown.delete(widget));
    session.kernelChanged.connect(this.update, this);
    message.attachTo(widget);
  }

  private _button(
    shown: Telling,
    session: ISessionContext,
    entry: IStoppedEntry | null
  ): IButton | null {
    if (shown === 'stopped') {
      return entry === null
        ? { label: this._trans.__('Restart kernel'), press: () => void this._restart(session) }
        : { label: this._trans.__('Bring back'), press: () => void this._start(entry) };
    }
    return entry?.cells
      ? {
          label: this._trans.__('Run what had been run…'),
          press: () => void this._bringBack.run(entry)
        }
      : null;
  }

  private async _start(entry: IStoppedEntry): Promise<void> {
    await this._bringBack.start([entry]);
    this.update();
  }

  private async _restart(session: ISessionContext): Promise<void> {
    try {
      await restart(session);
    } catch {
      // The host has shown its own dialog, with what the server said.
    }
    this.update();
  }

  /** Remember that the user has read it: no page shows it again. */
  private _markRead(key: string): void {
    if (!this._readKeys.includes(key)) {
      const keys = [...this._readKeys, key].slice(-REMEMBERED);
      try {
        window.localStorage.setItem(this._name, JSON.stringify(keys));
      } catch {
        this._unstoredKeys.push(key);
      }
    }
  }

  private get _readKeys(): string[] {
    try {
      const stored: unknown = JSON.parse(window.localStorage.getItem(this._name) ?? '[]');
      return Array.isArray(stored) ? [...(stored as string[]), ...this._unstoredKeys] : [];
    } catch {
      return this._unstoredKeys;
    }
  }

  private get _name(): string {
    return `jupyterlab-auto-shutdown:read:${this._api.baseUrl}`;
  }

  private readonly _shown = new Map<Widget, IShown>();
  private readonly _unstoredKeys: string[] = [];
  private _history: IOutcome[] = [];
}
