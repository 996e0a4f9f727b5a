import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { InputDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { clock, duration } from '../model/durations';
import { keepChoices } from '../model/report';
import { usedIn } from './widgets';
import type { Panel } from './panelwidget';
import type { Poller } from './poller';

const HOUR = 3_600_000;

/** The commands, in the palette; "settings" stands in the Settings menu too (schema/plugin.json). */
export function addCommands(
  app: JupyterFrontEnd,
  panel: Panel,
  poller: Poller,
  palette: ICommandPalette | null,
  trans: TranslationBundle
): void {
  const most = (): number => poller.state.report?.policy.limits.max_keep_alive_minutes ?? 60;
  const open = (): void => app.shell.activateById(panel.id);
  const current = (): ReturnType<typeof usedIn> => {
    const widget = app.shell.currentWidget;
    return widget === null ? null : usedIn(widget);
  };

  const add = (
    name: string,
    label: string,
    execute: () => void,
    isEnabled: () => boolean = () => true
  ): void => {
    const command = `auto-shutdown:${name}`;
    app.commands.addCommand(command, { label, execute, isEnabled });
    palette?.addItem({ command, category: trans.__('Auto Shutdown') });
  };

  add('open', trans.__('Open the Auto Shutdown Panel'), open);
  add('settings', trans.__('Auto Shutdown Settings…'), () => {
    open();
    void panel.showSettings();
  });
  add('check', trans.__('Check Now What Is Idle'), panel.check);
  add(
    'keep-current',
    trans.__('Keep the Current Notebook Alive for 1 h'),
    () => {
      const used = current();
      if (used !== null) {
        panel.keep(used.kind, used.id, Math.min(60, most()));
      }
    },
    () => current() !== null
  );
  add('keep-everything', trans.__('Keep Everything Alive…'), () => {
    void keepEverything(panel, most(), trans);
  });
}

async function keepEverything(panel: Panel, most: number, trans: TranslationBundle): Promise<void> {
  const hours = keepChoices(most);
  const labels = hours.map(h =>
    trans.__('%1, until %2', duration(h * HOUR), clock(Date.now() + h * HOUR))
  );
  const answer = await InputDialog.getItem({
    title: trans.__('Keep everything alive for'),
    items: labels,
    okLabel: trans.__('Keep')
  });
  const chosen = hours[labels.indexOf(answer.value ?? '')];
  if (answer.button.accept && chosen !== undefined) {
    panel.keep('all', 'all', chosen * 60);
  }
}
