import type { TranslationBundle } from '@jupyterlab/translation';

import { noNewApps } from './bringback';
import { clock, duration, spelled } from './durations';
import type { IOutcome, IPlatform, ISettings } from './types';
import { ruleName } from './words';

/** What the settings mean, as one would say it to a colleague. */
export function promise(
  settings: ISettings,
  platform: IPlatform,
  trans: TranslationBundle
): string[] {
  if (!settings.enabled) {
    return [trans.__('Nothing is stopped.')];
  }
  const said = [...whatStops(settings, platform, trans)];
  if (settings.rules.length > 0) {
    said.push(
      trans._n(
        '%1 rule sets a limit of its own.',
        '%1 rules set limits of their own.',
        settings.rules.length
      )
    );
  }
  if (settings.keep_terminals) {
    said.push(
      platform.kind === 'local'
        ? trans.__('Open terminals stay.')
        : trans.__('Open terminals stay, and keep their app.')
    );
  }
  if (settings.protect_connected) {
    said.push(trans.__('A notebook that is open in a browser stays.'));
  }
  if (settings.warn_minutes > 0) {
    said.push(trans.__('You get a notice %1 before.', spelled(settings.warn_minutes, trans)));
  }
  if (settings.dry_run) {
    said.push(trans.__('For now this is only reported: nothing is stopped (dry run).'));
  }
  const native = platform.native_idle_timeout_minutes;
  if (native !== undefined && native !== null) {
    said.push(trans.__("SageMaker's own idle shutdown: after %1.", spelled(native, trans)));
  }
  return said;
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
        ? trans.__('Their app is deleted at the same moment, and an instance with its last app.')
        : trans.__(
            'Their app is deleted after %1, and an instance with its last app.',
            words(apps)
          );
      break;
    case 'studio-space':
      yield apps <= latest
        ? trans.__(
            'When nothing runs any more, this app is deleted at the same moment; the space and its files stay.'
          )
        : trans.__(
            'After %1 without activity this app is deleted; the space and its files stay.',
            words(apps)
          );
      break;
    case 'notebook-instance':
      yield apps <= latest
        ? trans.__(
            'When nothing runs any more, this notebook instance is stopped at the same moment; its files stay.'
          )
        : trans.__(
            'After %1 without activity this notebook instance is stopped; its files stay.',
            words(apps)
          );
      break;
  }
}

/** What is lost when it is shut down now. */
export function loss(kind: string, platform: string, trans: TranslationBundle): string {
  if (kind !== 'app') {
    return kind === 'terminal'
      ? trans.__('Commands that run in it end. Files are kept.')
      : trans.__('Stopping ends the variables in memory. Files are kept.');
  }
  const said = [
    trans.__(
      'Stopping ends the variables in memory. Files in your home folder are kept; what was put ' +
        'elsewhere in the container (installed packages, /tmp) is lost. The instance stops being ' +
        'billed once its last app is gone.'
    )
  ];
  if (platform === 'studio-classic') {
    said.push(noNewApps(trans));
  }
  return said.join(' ');
}

/** The message in a notebook whose kernel was stopped: when, after how long, by which rule. */
export function stopped(
  outcome: IOutcome,
  app: IOutcome | null,
  platform: string,
  now: number,
  trans: TranslationBundle
): string[] {
  const at = clock(outcome.at, now);
  const said: string[] = [];
  if (outcome.reason === 'requested') {
    said.push(
      trans.__('The kernel of this notebook was stopped at %1, because somebody asked for it.', at)
    );
  } else if (outcome.idle_since === null) {
    said.push(
      trans.__('Auto Shutdown stopped the kernel of this notebook at %1: %2', at, outcome.detail)
    );
  } else {
    const idle = duration(Date.parse(outcome.at) - Date.parse(outcome.idle_since), trans);
    const rule = ruleName(outcome.rule, trans);
    said.push(
      trans.__(
        'Auto Shutdown stopped the kernel of this notebook at %1, after %2 without activity (%3).',
        at,
        idle,
        rule
      )
    );
  }
  said.push(trans.__('Its variables are lost; the file and its outputs are kept.'));
  if (app !== null && platform === 'studio-classic') {
    said.push(
      trans.__(
        'Its app (%1) was deleted too. Starting a kernel asks SageMaker for a new app, which takes minutes.',
        app.name
      ),
      noNewApps(trans)
    );
  }
  return said;
}
