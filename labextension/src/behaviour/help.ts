import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel, Widget } from '@lumino/widgets';

import { standalone } from '../model/guide';

const MARKDOWN = 'text/markdown';

/**
 * What Auto Shutdown does, in a few sentences; below them the pages of the documentation for users,
 * which come with the bundle: a server without internet access has them, too.
 */
export async function showHelp(
  trans: TranslationBundle,
  rendermime: IRenderMimeRegistry | null
): Promise<void> {
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
  const body = new Panel();
  body.addClass('jp-AS-help');
  body.node.tabIndex = 0; // it scrolls, by keyboard too
  const summary = new Widget();
  body.addWidget(summary);
  for (const sentence of sentences) {
    const paragraph = document.createElement('p');
    paragraph.textContent = sentence;
    summary.node.append(paragraph);
  }
  if (rendermime !== null) {
    body.addWidget(await documentation(rendermime));
  }
  await showDialog({
    title: trans.__('How Auto Shutdown works'),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

async function documentation(rendermime: IRenderMimeRegistry): Promise<Widget> {
  const pages = await Promise.all([
    import(/* webpackChunkName: "docs" */ '../../../docs/users.md'),
    import(/* webpackChunkName: "docs" */ '../../../docs/bring-back.md')
  ]);
  const text = pages.map(page => standalone(page.default)).join('\n\n');
  const page = rendermime.createRenderer(MARKDOWN);
  page.addClass('jp-AS-documentation');
  await page.renderModel(rendermime.createModel({ data: { [MARKDOWN]: text } }));
  return page;
}
