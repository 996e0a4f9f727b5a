import { showErrorMessage } from '@jupyterlab/apputils';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { IStoppedEntry } from '../model/types';
import { failureWords } from './api';
import type { IBringBackHost } from './startagain';

/** Brings back what was stopped. The code for it is loaded when somebody asks for it first. */
export class BringBack {
  constructor(private readonly _host: IBringBackHost) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whether this one is being started. */
  isStarting(entry: IStoppedEntry): boolean {
    return this._starting.has(entry.id);
  }

  /** Open the notebooks and start the kernels and terminals of `entries`. */
  async start(entries: IStoppedEntry[]): Promise<void> {
    const wanted = entries.filter(entry => !this.isStarting(entry));
    wanted.forEach(({ id }) => this._starting.add(id));
    this._changed.emit();
    await this._try(async () => {
      const { startAgain } = await import(/* webpackChunkName: "bringback" */ './startagain');
      const failures = await startAgain(wanted, this._host);
      if (failures.length > 0) {
        await showErrorMessage(this._host.trans.__('Auto Shutdown'), failures.join('\n'));
      }
    });
    wanted.forEach(({ id }) => this._starting.delete(id));
    this._changed.emit();
  }

  /** Ask which of the cells that had been run are to run again, and run them. */
  async run(entry: IStoppedEntry): Promise<void> {
    await this._try(async () => {
      const { runAgain } = await import(/* webpackChunkName: "bringback" */ './runagain');
      await runAgain(entry, this._host);
    });
  }

  private async _try(action: () => Promise<void>): Promise<void> {
    const { trans } = this._host;
    try {
      await action();
    } catch (error) {
      await showErrorMessage(trans.__('Auto Shutdown'), failureWords(error, trans));
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _starting = new Set<string>();
}
