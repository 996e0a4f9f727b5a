import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import { InputDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { clock, duration } from '../model/durations';
import { nameAmong } from '../model/names';
import { holdOf, idleNow, keepChoices } from '../model/report';
import type { IResource, Kind } from '../model/types';
import { countdown, health } from '../model/phrases';
import type { INotifications } from './notifications';
import type { PanelWidget } from './panelwidget';
import type { Poller } from './poller';
import { usedIn } from './widgets';

const HOUR = 3_600_000;

interface IOptions {
  app: JupyterFrontEnd;
  panel: PanelWidget;
  poller: Poller;
  palette: ICommandPalette | null;
  notifications: INotifications | null;
  trans: TranslationBundle;
}

/** The commands: those in the palette, and those in the context menu of a row. */
export function addCommands(options: IOptions): void {
  addPaletteCommands(options);
  addRowCommands(options);
}

function addPaletteCommands(options: IOptions): void {
  const { app, panel, poller, palette, trans } = options;
  const open = (): void => app.shell.activateById(panel.id);
  const most = (): number => poller.state.report?.policy.limits.max_keep_alive_minutes ?? 60;
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
    void panel.openSettings();
  });
  add('check', trans.__('Check Now What Is Idle'), () => void check(options));
  add(
    'keep-current',
    trans.__('Keep the Current Notebook Alive for 1 h'),
    () => {
      const used = current();
      if (used !== null) {
        void keep(options, used.kind, used.id, Math.min(60, most()));
      }
    },
    () => current() !== null
  );
  add('keep-everything', trans.__('Keep Everything Alive…'), () => void keepEverything(options));
  add(
    'remove-idle',
    trans.__('Shut Down All Idle Now…'),
    panel.removeIdle,
    () => poller.state.report !== null && idleNow(poller.state.report).length > 0
  );
}

/** Show the result of a command, because the panel may be hidden. */
function tell({ notifications, panel, app }: IOptions, message: string): void {
  if (panel.isVisible) {
    return; // the panel shows the result
  }
  if (notifications === null) {
    app.shell.activateById(panel.id);
  } else {
    notifications.tell(message);
  }
}

async function check(options: IOptions): Promise<void> {
  const { panel, poller, trans } = options;
  if (await panel.checkNow()) {
    const { report } = poller.state;
    const next = report === null ? null : countdown(report, poller.now, trans);
    const running = report?.resources.filter(r => r.kind !== 'app').length ?? 0;
    const counted = trans._n('%1 is running.', '%1 are running.', running);
    tell(
      options,
      [`${health(poller.state, trans)}.`.replace('..', '.'), counted, next]
        .filter(Boolean)
        .join(' ')
    );
  }
}

/** Keep it for so many minutes, and say so. */
async function keep(options: IOptions, kind: Kind, id: string, minutes: number): Promise<void> {
  const { panel, poller, trans } = options;
  if (await panel.keepAndTell(kind, id, minutes)) {
    const all = poller.state.report?.resources ?? [];
    const resource = all.find(r => r.kind === kind && r.id === id);
    const name = resource === undefined ? id : nameAmong(resource, all, trans);
    const until = clock(poller.now + minutes * 60_000, poller.now);
    tell(options, trans.__('%1 is kept until %2.', name, until));
  }
}

async function keepEverything(options: IOptions): Promise<void> {
  const { panel, poller, trans } = options;
  const most = poller.state.report?.policy.limits.max_keep_alive_minutes ?? 60;
  const hours = keepChoices(most);
  const until = (h: number): string => clock(poller.now + h * HOUR, poller.now);
  const labels = hours.map(h => trans.__('%1, until %2', duration(h * HOUR, trans), until(h)));
  const answer = await InputDialog.getItem({
    title: trans.__('Keep everything alive for'),
    items: labels,
    okLabel: trans.__('Keep')
  });
  const chosen = hours[labels.indexOf(answer.value ?? '')];
  if (answer.button.accept && chosen !== undefined) {
    if (await panel.keepAndTell('all', 'all', chosen * 60)) {
      tell(options, trans.__('Everything is kept until %1.', until(chosen)));
    }
  }
}

const ROW = '.jp-AS-row';

function addRowCommands(options: IOptions): void {
  const { app, panel, poller, trans } = options;
  /** The resource whose row was clicked with the other button. */
  const clicked = (): IResource | null => {
    const node = app.contextMenuHitTest(n => n.matches?.(ROW) ?? false);
    const { kind, id } = node?.dataset ?? {};
    return poller.state.report?.resources.find(r => r.kind === kind && r.id === id) ?? null;
  };
  const stoppable = (r: IResource): boolean =>
    !['not-covered', 'not-in-service'].includes(r.reason);
  const add = (
    name: string,
    label: string,
    execute: (resource: IResource) => void,
    applies: (resource: IResource) => boolean
  ): void => {
    const command = `auto-shutdown:row-${name}`;
    const visible = (): boolean => {
      const resource = clicked();
      return resource !== null && applies(resource);
    };
    app.commands.addCommand(command, {
      label,
      isVisible: visible,
      execute: () => {
        const resource = clicked();
        if (resource !== null) {
          execute(resource);
        }
      }
    });
    app.contextMenu.addItem({ command, selector: ROW, rank: 10 });
  };

  add(
    'open',
    trans.__('Open'),
    r => panel.opener(r)?.(),
    r => panel.opener(r) !== null
  );
  for (const hours of [1, 4, 8]) {
    const most = (): number => poller.state.report?.policy.limits.max_keep_alive_minutes ?? 60;
    add(
      `keep-${hours}`,
      trans.__('Keep for %1', duration(hours * HOUR, trans)),
      r => panel.keep(r.kind, r.id, hours * 60),
      r => stoppable(r) && hours * 60 <= most() && (poller.state.report?.policy.enabled ?? false)
    );
  }
  add(
    'release',
    trans.__('Release'),
    r => panel.keep(r.kind, r.id, null),
    r => {
      const hold = holdOf(r, poller.state.report?.keep_alive ?? []);
      return hold !== null && hold.kind === r.kind && hold.id === r.id;
    }
  );
  add('remove', trans.__('Shut down now…'), panel.remove, stoppable);
}
