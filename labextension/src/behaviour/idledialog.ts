import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { keyOf, namesOf, fullName } from '../model/names';
import { loss } from '../model/loss';
import { idleNow } from '../model/report';
import type { IReport, IResource } from '../model/types';
import { idleFor } from '../model/phrases';
import { ask } from './ask';

/** A resource that has been idle for less than this time is listed, and not ticked. */
const JUST_USED = 5 * 60_000;

/** The list of the idle resources, each with a box that the user can untick. */
class IdleList extends Widget {
  constructor(report: IReport, now: number, trans: TranslationBundle) {
    super();
    this.addClass('jp-AS-idleList');
    const names = namesOf(report.resources, trans);
    const idle = idleNow(report);
    for (const resource of idle) {
      const name = names.get(keyOf(resource));
      const inside = report.resources.filter(r => resource.kind === 'app' && r.app === resource.id);
      const titles = inside.map(r => fullName(names.get(keyOf(r)) ?? { title: r.name, place: '' }));
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = now - Date.parse(resource.idle_since ?? '') >= JUST_USED;
      const label = document.createElement('label');
      const text = name === undefined ? resource.name : fullName(name);
      label.append(box, ` ${text}: ${idleFor(resource, now, trans)}`);
      if (titles.length > 0) {
        label.append(` (${trans.__('with %1', titles.join(', '))})`);
      }
      this.node.append(label);
      this._boxes.push([box, resource]);
    }
    const kinds = new Set(idle.map(r => r.kind));
    if (kinds.has('app')) {
      kinds.delete('kernel'); // what is said about an app holds for a kernel, too
    }
    for (const kind of kinds) {
      const paragraph = document.createElement('p');
      paragraph.textContent = loss(kind, report.platform.kind, trans);
      this.node.append(paragraph);
    }
  }

  /** The ticked resources. The dialog calls this method. */
  getValue(): IResource[] {
    return this._boxes.filter(([box]) => box.checked).map(([, resource]) => resource);
  }

  private readonly _boxes: [HTMLInputElement, IResource][] = [];
}

/** Ask which of the idle resources to shut down; empty when the user cancels. */
export async function askWhichIdle(
  report: IReport,
  now: number,
  trans: TranslationBundle
): Promise<IResource[]> {
  const body = new IdleList(report, now, trans);
  const stop = Dialog.warnButton({ label: trans.__('Shut down') });
  const title = trans.__('Shut down what is idle now?');
  const answer = await ask<IResource[]>(title, body, stop, trans);
  return answer.button.accept ? (answer.value ?? []) : [];
}
