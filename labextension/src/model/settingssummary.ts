import type { TranslationBundle } from '@jupyterlab/translation';

import { spelled } from './typedtimes';
import type { IPlatform, ISettings } from './types';

/** The sentences at the top of the settings form: what the current settings do. */
export function settingsSummary(
  settings: ISettings,
  platform: IPlatform,
  trans: TranslationBundle
): string[] {
  if (!settings.enabled) {
    return [trans.__('Nothing is stopped.')];
  }
  const sentences = [...whatStops(settings, platform, trans)];
  if (settings.rules.length > 0) {
    sentences.push(
      trans._n(
        '%1 rule sets a limit of its own.',
        '%1 rules set limits of their own.',
        settings.rules.length
      )
    );
  }
  if (settings.keep_terminals) {
    sentences.push(
      platform.kind === 'local'
        ? trans.__('Open terminals stay.')
        : trans.__('Open terminals stay, and keep their app.')
    );
  }
  if (settings.protect_connected) {
    sentences.push(trans.__('A notebook that is open in a browser stays.'));
  }
  if (settings.warn_minutes > 0) {
    sentences.push(trans.__('You get a notice %1 before.', spelled(settings.warn_minutes, trans)));
  }
  if (settings.dry_run) {
    sentences.push(trans.__('For now this is only reported: nothing is stopped (dry run).'));
  }
  const native = platform.native_idle_timeout_minutes;
  if (native !== undefined && native !== null) {
    sentences.push(trans.__("SageMaker's own idle shutdown: after %1.", spelled(native, trans)));
  }
  return sentences;
}

function* whatStops(
  settings: ISettings,
  platform: IPlatform,
  trans: TranslationBundle
): Generator<string> {
  const general = settings.idle_timeout_minutes;
  const kernels = settings.kernel_idle_timeout_minutes ?? general;
  const terminals = settings.terminal_idle_timeout_minutes ?? general;
  const apps = settings.app_idle_timeout_minutes ?? general;
  const words = (minutes: number): string => spelled(minutes, trans);
  const together = kernels === terminals || settings.keep_terminals;
  if (settings.keep_terminals) {
    yield trans.__('Notebooks idle for %1 are stopped.', words(kernels));
  } else if (together) {
    yield trans.__('Notebooks and terminals idle for %1 are stopped.', words(kernels));
  } else {
    yield trans.__(
      'Notebooks idle for %1 are stopped, terminals after %2.',
      words(kernels),
      words(terminals)
    );
  }
  const latest = Math.max(kernels, settings.keep_terminals ? 0 : terminals);
  switch (platform.kind) {
    case 'studio-classic':
      yield apps <= latest
        ? trans.__('Their app is deleted at the same time. An instance stops with its last app.')
        : trans.__(
            'Their app is deleted after %1. An instance stops with its last app.',
            words(apps)
          );
      break;
    case 'studio-space':
      yield apps <= latest
        ? trans.__(
            'This app is deleted as soon as nothing runs in it any more; the space and its files stay.'
          )
        : trans.__(
            'After %1 without activity this app is deleted; the space and its files stay.',
            words(apps)
          );
      break;
    case 'notebook-instance':
      yield apps <= latest
        ? trans.__(
            'This notebook instance is stopped as soon as nothing runs on it any more; its files stay.'
          )
        : trans.__(
            'After %1 without activity this notebook instance is stopped; its files stay.',
            words(apps)
          );
      break;
  }
}
