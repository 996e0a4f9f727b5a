import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { comesBack } from '../model/bringback';

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
  const answer = await showDialog({
    title: trans.__('Stop now and bring back later?'),
    body,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: trans.__('Stop now') })
    ]
  });
  return answer.button.accept;
}
