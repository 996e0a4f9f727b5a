import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { comesBack } from '../model/bringback';
import { ask } from './ask';

/** Say what comes back after a stop and what does not, and ask whether to stop now. */
export async function askStopNow(
  names: string[],
  platform: string,
  trans: TranslationBundle
): Promise<boolean> {
  const body = new Widget();
  body.addClass('jp-AS-help');
  for (const sentence of [names.join(', '), ...comesBack(platform, trans)]) {
    const paragraph = document.createElement('p');
    paragraph.textContent = sentence;
    body.node.append(paragraph);
  }
  const stop = Dialog.warnButton({ label: trans.__('Stop now') });
  const answer = await ask(trans.__('Stop now and bring back later?'), body, stop, trans);
  return answer.button.accept;
}
