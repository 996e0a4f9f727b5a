import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';

import { Api } from './api';
import { Panel } from './panel';
import { Poller } from './poller';
import { StatusItem } from './statusbar';

/** A moon over a line that ends: what is idle at night goes. */
const icon = new LabIcon({
  name: 'auto-shutdown:icon',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<path class="jp-icon3" fill="#616161" d="M12 3a1.2 1.2 0 0 1 1.2 1.2v7a1.2 1.2 0 0 1-2.4 0v-7A1.2 1.2 ' +
    '0 0 1 12 3zm5.2 2.6a1.2 1.2 0 0 1 1.7 0 9 9 0 1 1-13.8 0 1.2 1.2 0 1 1 1.8 1.6 6.6 6.6 0 1 0 10.2 ' +
    '0 1.2 1.2 0 0 1 .1-1.6z"/></svg>'
});

/**
 * The part in the browser. Nothing of the shutdown depends on it: the server acts alone, with
 * every tab closed.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-auto-shutdown:plugin',
  autoStart: true,
  optional: [ITranslator, ICommandPalette, IStatusBar, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    statusBar: IStatusBar | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_auto_shutdown');
    const api = new Api();
    const poller = new Poller(() => api.status());
    const panel = new Panel(api, poller, trans);
    panel.title.icon = icon;
    app.shell.add(panel, 'left', { rank: 700 });
    restorer?.add(panel, panel.id);

    const open = (): void => app.shell.activateById(panel.id);
    const category = trans.__('Auto shutdown');
    const commands: [string, string, () => void][] = [
      ['auto-shutdown:open', trans.__('Open the Auto Shutdown Panel'), open],
      ['auto-shutdown:check', trans.__('Check Now What Is Idle'), () => panel.check()]
    ];
    for (const [id, label, execute] of commands) {
      app.commands.addCommand(id, { label, execute });
      palette?.addItem({ command: id, category });
    }
    if (statusBar !== null) {
      const item = new StatusItem(poller, open, trans);
      statusBar.registerStatusItem('jupyterlab-auto-shutdown:status', { item, align: 'right' });
    }
    void app.restored.then(() => poller.refresh());
  }
};

export default plugin;
