import type { TranslationBundle } from '@jupyterlab/translation';

import { noNewApps } from './bringback';

/** The text of the dialog before a shutdown: what the user loses. */
export function loss(kind: string, platform: string, trans: TranslationBundle): string {
  if (kind !== 'app') {
    return kind === 'terminal'
      ? trans.__('Commands that run in it end. Files are kept.')
      : trans.__('Stopping ends the variables in memory. Files are kept.');
  }
  const sentences = [
    trans.__(
      'Stopping ends the variables in memory. Files in your home folder are kept; what was put ' +
        'elsewhere in the container (installed packages, /tmp) is lost. The instance stops being ' +
        'billed once its last app is gone.'
    )
  ];
  if (platform === 'studio-classic') {
    sentences.push(noNewApps(trans));
  }
  return sentences.join(' ');
}
