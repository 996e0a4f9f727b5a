import { Notification } from '@jupyterlab/apputils';

import { unbroken } from '../model/durations';
import type { IButton } from '../view/props';

/** Shows notifications on top of the page. */
export interface INotifications {
  /** Show a notification that stays until the user closes it. Returns its id. */
  show(message: string, buttons: IButton[]): string;
  update(id: string, message: string): void;
  dismiss(id: string): void;
  /** Show a notification that disappears by itself: the result of a command. */
  tell(message: string): void;
  /** Call `closed` with the id of each notification that the user closes. */
  onClosed(closed: (id: string) => void): void;
}

/** How long the result of a command is shown. */
const TOLD = 5_000;

/** The host's own notifications; null where it has none (JupyterLab before 3.6). */
export function hostNotifications(): INotifications | null {
  const host: typeof Notification | undefined = Notification;
  if (host === undefined) {
    return null;
  }
  return {
    show: (message, buttons) =>
      host.emit(message, 'warning', {
        autoClose: false,
        actions: buttons.map(({ label, caption, primary, press }) => ({
          // The host would break "Keep 1 h" in two lines.
          label: unbroken(label),
          caption: caption ?? label,
          callback: press,
          displayType: primary ? 'accent' : 'default'
        }))
      }),
    update: (id, message) => {
      host.update({ id, message, autoClose: false });
    },
    dismiss: id => host.dismiss(id),
    tell: message => void host.emit(message, 'success', { autoClose: TOLD }),
    onClosed: closed => {
      host.manager.changed.connect((_, change) => {
        if (change.type === 'removed') {
          closed(change.notification.id);
        }
      });
    }
  };
}
