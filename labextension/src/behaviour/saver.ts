import type { JupyterFrontEnd } from '@jupyterlab/application';

import { armed } from '../model/report';
import { contextOf, kernelOf, mainWidgets } from './widgets';
import type { Poller } from './poller';

/** How long before a kernel is stopped its unsaved document is saved, at least. */
const BEFORE = 45_000;

/**
 * Saves unsaved documents before their kernel is stopped, also while the tab is hidden (then by
 * what was known when it was seen last, and without asking the server). Nothing is ever closed.
 */
export class Saver {
  constructor(
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _poller: Poller
  ) {
    _poller.changed.connect(() => this.update());
  }

  update(): void {
    window.clearTimeout(this._timer);
    const { report } = this._poller.state;
    if (report === null || !armed(report)) {
      return;
    }
    const now = this._poller.now;
    let next = Infinity;
    for (const resource of report.resources) {
      if (resource.kind !== 'kernel' || resource.due_at === null) {
        continue;
      }
      const left = Date.parse(resource.due_at) - now;
      if (left <= BEFORE) {
        void this._save(resource.id);
      } else {
        next = Math.min(next, left - BEFORE);
      }
    }
    if (next !== Infinity) {
      // Timers take no more than 31 bits; it is planned anew with the next answer anyway.
      this._timer = window.setTimeout(() => this.update(), Math.min(next + 10, 2 ** 31 - 1));
    }
  }

  /** Save the unsaved documents of these kernels now. */
  saveNow(kernels: string[]): Promise<unknown> {
    return Promise.all(kernels.map(kernel => this._save(kernel)));
  }

  private async _save(kernel: string): Promise<void> {
    for (const widget of mainWidgets(this._shell)) {
      const context = contextOf(widget);
      if (context === null || kernelOf(widget) !== kernel || this._saving.has(context.path)) {
        continue;
      }
      if (context.model.dirty && !context.model.readOnly && !context.model.collaborative) {
        this._saving.add(context.path);
        try {
          await context.save();
        } catch {
          // The host has already shown the error in a dialog of its own.
        } finally {
          this._saving.delete(context.path);
        }
      }
    }
  }

  private readonly _saving = new Set<string>();
  private _timer = 0;
}
