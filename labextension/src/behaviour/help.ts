import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

/** What Auto Shutdown does, in a few sentences. */
export async function showHelp(trans: TranslationBundle): Promise<void> {
  const sentences = [
    trans.__(
      'Auto Shutdown stops kernels, terminals and apps that nobody has used for the time that you set. The server does this by itself, also when no browser is open.'
    ),
    trans.__(
      'A kernel that runs a cell, a terminal that runs a command, and work in the background are never idle. An open browser tab alone does not count as use.'
    ),
    trans.__(
      'Before something stops you get a notice. "Keep" keeps it for some hours. Files are never deleted; the variables in memory are lost.'
    ),
    trans.__(
      'Click on the state of a row to read why it is kept, or when it stops. Click on its name to open it.'
    ),
    trans.__(
      'If something does not stop, run "jupyter auto-shutdown doctor" in a terminal: it names the cause.'
    )
  ];
  const body = new Widget();
  body.addClass('jp-AS-help');
  for (const sentence of sentences) {
    const paragraph = document.createElement('p');
    paragraph.textContent = sentence;
    body.node.append(paragraph);
  }
  await showDialog({
    title: trans.__('How Auto Shutdown works'),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}
