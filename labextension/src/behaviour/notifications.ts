import { Notification } from '@jupyterlab/apputils';

import type { IButton } from '../view/props';

/** What shows a notification on top of the page. */
export interface IToasts {
  show(message: string, buttons: IButton[]): string;
  update(id: string, message: string): void;
  dismiss(id: string): void;
  /** Called with the id of each that the person has closed. */
  onClosed(closed: (id: string) => void): void;
}

/** The host's own notifications; null where it has none (JupyterLab before 3.6). */
export function hostToasts(): IToasts | null {
  const found: typeof Notification | undefined = Notification;
  if (found === undefined) {
    return null;
  }
  return {
    show: (message, buttons) =>
      found.emit(message, 'warning', {
        autoClose: false,
        actions: buttons.map(({ label, press }) => ({ label, callback: press }))
      }),
    update: (id, message) => {
      found.update({ id, message, autoClose: false });
    },
    dismiss: id => found.dismiss(id),
    onClosed: closed => {
      found.manager.changed.connect((_, change) => {
        if (change.type === 'removed') {
          closed(change.notification.id);
        }
      });
    }
  };
}
