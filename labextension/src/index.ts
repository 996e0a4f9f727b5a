import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';

import { Afterwards } from './behaviour/stoppedmessages';
import { Announcer } from './behaviour/announcer';
import { Api } from './behaviour/api';
import { Choices } from './behaviour/serversettings';
import { Claims } from './behaviour/claims';
import { addCommands } from './behaviour/commands';
import { Panel } from './behaviour/panelwidget';
import { Poller } from './behaviour/poller';
import { Preferences } from './behaviour/preferences';
import { Presence } from './behaviour/presence';
import { Saver } from './behaviour/saver';
import { StatusItem } from './behaviour/statusitem';
import { hostToasts } from './behaviour/notifications';

const PLUGIN = 'jupyterlab-auto-shutdown:plugin';

/** A switch that is off. */
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
  id: PLUGIN,
  autoStart: true,
  optional: [ITranslator, ICommandPalette, IStatusBar, ILayoutRestorer, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    statusBar: IStatusBar | null,
    restorer: ILayoutRestorer | null,
    registry: ISettingRegistry | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_auto_shutdown');
    const api = new Api();
    const poller = new Poller(panel => api.status(panel));
    const preferences = new Preferences();
    const toasts = hostToasts();
    const afterwards = new Afterwards(app.shell, poller, api, trans);
    const panel = new Panel({
      api,
      poller,
      choices: new Choices(api, poller),
      afterwards,
      trans,
      announces: () => toasts === null || !preferences.value.notifications,
      preferences:
        registry === null
          ? null
          : () => void app.commands.execute('settingeditor:open', { query: 'Auto Shutdown' }),
      visit: path => void app.commands.execute('docmanager:open', { path })
    });
    panel.title.icon = icon;
    app.shell.add(panel, 'left', { rank: 700 });
    restorer?.add(panel, panel.id);

    const open = (): void => app.shell.activateById(panel.id);
    addCommands(app, panel, poller, palette, trans);
    if (statusBar !== null) {
      const item = new StatusItem(poller, preferences, open, icon, trans);
      statusBar.registerStatusItem('jupyterlab-auto-shutdown:status', { item, align: 'right' });
    }
    if (toasts !== null) {
      const name = `jupyterlab-auto-shutdown:announced:${api.baseUrl}`;
      const page = Math.random().toString(36).slice(2);
      new Announcer({
        poller,
        claims: new Claims(window.localStorage, name, page),
        toasts,
        trans,
        lead: () => preferences.lead,
        keep: panel.keepAll,
        open
      });
    }
    new Saver(app.shell, poller);
    new Presence(
      app.shell,
      api,
      () => preferences.value.presence,
      () => poller.state.report
    );
    if (registry !== null) {
      // Where the host does not know our schema, the defaults hold.
      preferences.follow(registry, PLUGIN).catch(() => undefined);
    }
    void app.restored.then(async () => {
      await poller.refresh();
      await afterwards.remember();
    });
  }
};

export default plugin;
