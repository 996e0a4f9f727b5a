/** Limits as people type them in the fields of the settings, and as sentences spell them. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { SECONDS, limitText, parts, withUnit } from './durations';
import type { Unit } from './durations';

/** A setting as it stands in its field, so that reading it again gives the same number. */
export function typed(minutes: number, trans: TranslationBundle): string {
  const text = limitText(minutes, trans);
  return parsed(text) === minutes ? text : withUnit(minutes, 'm', trans);
}

/** `2 hours`, `1 hour 30 minutes`: for sentences. */
export function spelled(minutes: number, trans: TranslationBundle): string {
  const words = parts(minutes).map(([unit, count]) => {
    switch (unit) {
      case 'd':
        return trans._n('%1 day', '%1 days', count);
      case 'h':
        return trans._n('%1 hour', '%1 hours', count);
      case 'm':
        return trans._n('%1 minute', '%1 minutes', count);
      default:
        return trans._n('%1 second', '%1 seconds', count);
    }
  });
  return words.slice(0, 2).join(' ');
}

/** The units that people type, in the languages that the panel speaks. */
const UNITS: [Unit, RegExp][] = [
  ['d', /^(days?|d|tage?n?|일|天|日)$/i],
  ['h', /^(hours?|hrs?|h|std\.?|stunden?|시간|小时|小時)$/i],
  ['m', /^(minutes?|mins?|m|minuten?|min\.|분|分钟|分)$/i],
  ['s', /^(seconds?|secs?|s|sekunden?|sek\.?|초|秒)$/i]
];

const PART = /^(\d+(?:[.,]\d+)?)\s*([^\d\s.,:+-][^\d\s]*)?\s*/;

function unitOf(text: string | undefined): Unit | null {
  return text === undefined ? 'm' : (UNITS.find(([, words]) => words.test(text))?.[0] ?? null);
}

/** Minutes of what a person typed: `90`, `2 h`, `1 h 30 m`, `1:30`; null when it is no time. */
export function parsed(text: string): number | null {
  let rest = text.trim();
  const colon = /^(\d+):([0-5]\d)$/.exec(rest);
  if (colon !== null) {
    return Number(colon[1]) * 60 + Number(colon[2]);
  }
  let seconds = 0;
  let counted = false;
  while (rest !== '') {
    const match = PART.exec(rest);
    const unit = match === null ? null : unitOf(match[2]);
    if (match === null || unit === null) {
      return null;
    }
    seconds += Number(match[1].replace(',', '.')) * SECONDS[unit];
    counted = true;
    rest = rest.slice(match[0].length);
  }
  return counted ? seconds / 60 : null;
}
