import { ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { TranslationBundle } from '@jupyterlab/translation';

import { Announcer } from './behaviour/announcer';
import { Api } from './behaviour/api';
import { BringBack } from './behaviour/bringback';
import { Claims } from './behaviour/claims';
import { addCommands } from './behaviour/commands';
import { listenToServer } from './behaviour/events';
import { Look } from './behaviour/look';
import { addNotebookItems } from './behaviour/notebookitem';
import { hostNotifications } from './behaviour/notifications';
import type { INotifications } from './behaviour/notifications';
import { PanelWidget } from './behaviour/panelwidget';
import { Poller } from './behaviour/poller';
import { Preferences } from './behaviour/preferences';
import { Presence } from './behaviour/presence';
import { addRunningSection } from './behaviour/runningsection';
import { Saver } from './behaviour/saver';
import { ServerSettings } from './behaviour/serversettings';
import { StatusItem } from './behaviour/statusitem';
import { StoppedEntries } from './behaviour/stoppedentries';
import { StoppedMessages } from './behaviour/stoppedmessages';
import { offerWords } from './model/bringback';
import { setLanguage } from './model/durations';
import type { IOutcome } from './model/types';
import { panelIcon } from './view/panelicon';

const PLUGIN = 'jupyterlab-auto-shutdown:plugin';

/** The texts in the host's language; English where the host cannot read our catalogue. */
function loadTexts(translator: ITranslator | null): TranslationBundle {
  try {
    return (translator ?? nullTranslator).load('jupyterlab_auto_shutdown');
  } catch {
    return nullTranslator.load('');
  }
}

/** After a restart of the server: a notification with what ended with it. */
function offerToBringBack(
  notifications: INotifications,
  entries: StoppedEntries,
  panel: PanelWidget,
  now: number,
  trans: TranslationBundle
): void {
  const { offer } = entries;
  if (offer === null) {
    return;
  }
  notifications.show(offerWords(offer, now, trans), [
    { label: trans.__('Bring back'), primary: true, press: () => panel.bringBack(offer.entries) },
    { label: trans.__('Dismiss'), press: () => panel.dismissOffer() }
  ]);
}

/**
 * The part in the browser. The server shuts down what is idle by itself, with every tab closed.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN,
  autoStart: true,
  optional: [
    ITranslator,
    ICommandPalette,
    IStatusBar,
    ILayoutRestorer,
    ISettingRegistry,
    IRenderMimeRegistry
  ],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    statusBar: IStatusBar | null,
    restorer: ILayoutRestorer | null,
    registry: ISettingRegistry | null,
    rendermime: IRenderMimeRegistry | null
  ): Promise<void> => {
    // Translators before JupyterLab 4.1 have no languageCode.
    setLanguage((translator ?? nullTranslator).languageCode ?? 'default');
    const trans = loadTexts(translator);
    const api = new Api(trans);
    const poller = new Poller(panel => api.status(panel));
    const preferences = new Preferences();
    const notifications = hostNotifications();
    const stored = (name: string): string => `jupyterlab-auto-shutdown:${name}:${api.baseUrl}`;
    const entries = new StoppedEntries(
      api,
      poller,
      window.localStorage,
      stored('dismissed'),
      (): IOutcome[] => stopped.removals
    );
    const bringBack = new BringBack({ app, api, entries, trans });
    const stopped = new StoppedMessages(app.shell, poller, api, entries, bringBack, trans);
    const saver = new Saver(app.shell, poller);
    const panel = new PanelWidget({
      api,
      poller,
      settings: new ServerSettings(api, poller),
      stopped,
      entries,
      bringBack,
      save: kernels => saver.saveNow(kernels),
      look: new Look(window.localStorage, stored('look')),
      trans,
      rendermime,
      announces: () => notifications === null || !preferences.value.notifications,
      preferences:
        registry === null
          ? null
          : () => void app.commands.execute('settingeditor:open', { query: 'Auto Shutdown' }),
      openNotebook: path => void app.commands.execute('docmanager:open', { path }),
      openTerminal: name => void app.commands.execute('terminal:open', { name })
    });
    panel.title.icon = panelIcon;
    app.shell.add(panel, 'left', { rank: 700 });
    restorer?.add(panel, panel.id);

    const open = (): void => app.shell.activateById(panel.id);
    addCommands({ app, panel, poller, palette, notifications, trans });
    addNotebookItems(
      app,
      poller,
      (kernel, minutes) => panel.keep('kernel', kernel, minutes),
      trans
    );
    if (statusBar !== null) {
      const item = new StatusItem(poller, preferences, open, trans);
      statusBar.registerStatusItem('jupyterlab-auto-shutdown:status', { item, align: 'right' });
    }
    if (notifications !== null) {
      const page = Math.random().toString(36).slice(2);
      new Announcer({
        poller,
        claims: new Claims(window.localStorage, stored('announced'), page),
        notifications,
        trans,
        lead: () => preferences.lead,
        keep: panel.keepAll,
        stopNow: panel.stopNow,
        open
      });
    }
    new Presence(app.shell, api, () => preferences.value.presence, poller);
    if (registry !== null) {
      // Where the host does not know our schema, the defaults hold.
      preferences.follow(registry, PLUGIN).catch(() => undefined);
    }
    listenToServer(app.serviceManager, poller.onServerEvent);
    void app.restored.then(async () => {
      await poller.refresh();
      await Promise.all([stopped.loadHistory(), entries.load()]);
      if (notifications !== null) {
        offerToBringBack(notifications, entries, panel, poller.now, trans);
      }
    });
    // The host waits for this before it draws: JupyterLab 3 does not draw a section that comes later.
    // A host without a "Running" panel goes without the section.
    return addRunningSection(app, poller, panel, trans).catch(() => undefined);
  }
};

export default plugin;
