import type { TranslationBundle } from '@jupyterlab/translation';

import { noNewApps } from './bringback';
import { clock, duration } from './durations';
import { title } from './names';
import type { IOutcome } from './types';
import { ruleName } from './phrases';

/** The message in a notebook whose kernel was stopped: when, after how long, by which rule. */
export function stopped(
  outcome: IOutcome,
  app: IOutcome | null,
  platform: string,
  now: number,
  trans: TranslationBundle
): string[] {
  const at = clock(outcome.at, now);
  const sentences: string[] = [];
  if (outcome.reason === 'requested') {
    sentences.push(
      trans.__('The kernel of this notebook was stopped at %1, because somebody asked for it.', at)
    );
  } else if (outcome.idle_since === null) {
    sentences.push(
      trans.__('Auto Shutdown stopped the kernel of this notebook at %1: %2', at, outcome.detail)
    );
  } else {
    const idle = duration(Date.parse(outcome.at) - Date.parse(outcome.idle_since), trans);
    const rule = ruleName(outcome.rule, platform, trans);
    sentences.push(
      trans.__(
        'Auto Shutdown stopped the kernel of this notebook at %1, after %2 without activity (%3).',
        at,
        idle,
        rule
      )
    );
  }
  sentences.push(trans.__('Its variables are lost; the file and its outputs are kept.'));
  if (app !== null && platform === 'studio-classic') {
    sentences.push(
      trans.__(
        'Its app (%1) was deleted too. Starting a kernel asks SageMaker for a new app, which takes minutes.',
        title(app, trans)
      ),
      noNewApps(trans)
    );
  }
  return sentences;
}
