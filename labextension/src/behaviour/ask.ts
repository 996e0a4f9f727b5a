import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

/** Ask in a dialog with two buttons: "Cancel", and `accept`. */
export function ask<T>(
  title: string,
  body: Dialog.Body<T>,
  accept: Dialog.IButton,
  trans: TranslationBundle
): Promise<Dialog.IResult<T>> {
  return showDialog<T>({
    title,
    body,
    buttons: [Dialog.cancelButton({ label: trans.__('Cancel') }), accept]
  });
}
