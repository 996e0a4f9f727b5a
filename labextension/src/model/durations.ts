import type { TranslationBundle } from '@jupyterlab/translation';

type Unit = 'd' | 'h' | 'm' | 's';

const SECONDS: Record<Unit, number> = { d: 86_400, h: 3_600, m: 60, s: 1 };

/** Seconds are shown only below so many of them. */
const SECONDS_UNTIL = 120;

/** BCP 47 tag of the language in which times and numbers are written; undefined: the browser's. */
let locale: string | undefined;

/**
 * Write times and numbers as the host's language does. English follows the browser, which knows
 * whether its user reads 14:05 or 2:05 PM.
 */
export function setLanguage(code: string): void {
  locale = /^(en|default)\b/.test(code) ? undefined : code.replace('_', '-');
}

/** The language of times and numbers; undefined: the browser's. */
export function language(): string | undefined {
  return locale;
}

function withUnit(count: number | string, unit: Unit, trans: TranslationBundle): string {
  switch (unit) {
    case 'd':
      return trans.__('%1 d', count);
    case 'h':
      return trans.__('%1 h', count);
    case 'm':
      return trans.__('%1 m', count);
    default:
      return trans.__('%1 s', count);
  }
}

/** The text with no-break spaces: a number and its unit stay on one line. */
export function unbroken(text: string): string {
  return text.replace(/ /g, '\u00a0');
}

/** An age: `45 s`, `1 m 05 s`, `12 m`, `1 h 12 m`, `3 d 4 h`, rounded down. */
export function duration(milliseconds: number, trans: TranslationBundle): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const words = (count: number | string, unit: Unit): string => withUnit(count, unit, trans);
  const padded = (count: number): string => String(count).padStart(2, '0');
  if (seconds < 60) {
    return words(seconds, 's');
  }
  if (seconds < SECONDS_UNTIL) {
    return `${words(1, 'm')} ${words(padded(seconds - 60), 's')}`;
  }
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600) % 24;
  const days = Math.floor(seconds / 86400);
  if (days > 0) {
    return hours > 0 ? `${words(days, 'd')} ${words(hours, 'h')}` : words(days, 'd');
  }
  if (hours > 0) {
    return minutes > 0 ? `${words(hours, 'h')} ${words(padded(minutes), 'm')}` : words(hours, 'h');
  }
  return words(minutes, 'm');
}

/** Parts of a number of minutes, largest first, zeros left out. */
function parts(minutes: number): [Unit, number][] {
  let left = Math.round(minutes * 60);
  const found: [Unit, number][] = [];
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const count = Math.floor(left / SECONDS[unit]);
    left -= count * SECONDS[unit];
    if (count > 0) {
      found.push([unit, count]);
    }
  }
  return found.length > 0 ? found : [['m', 0]];
}

/** A limit, exactly: `2 h`, `1 h 30 m`, `30 s`. */
export function limitText(minutes: number, trans: TranslationBundle): string {
  return parts(minutes)
    .map(([unit, count]) => withUnit(count, unit, trans))
    .join(' ');
}

/** A setting as it stands in its field, so that reading it again gives the same number. */
export function typed(minutes: number): string {
  const text = parts(minutes)
    .map(([unit, count]) => `${count} ${unit}`)
    .join(' ');
  return parsed(text) === minutes ? text : `${minutes} m`;
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

/** A time of the day as the person's own clock shows it; the day, too, where it is not today. */
export function clock(instant: string | number, now: number = Date.now()): string {
  const at = new Date(instant);
  const time = at.toLocaleTimeString(locale ?? [], { hour: 'numeric', minute: '2-digit' });
  if (at.toDateString() === new Date(now).toDateString()) {
    return time;
  }
  return `${dayName(at)} ${time}`;
}

/** A day with its weekday: `Fri 27 Nov`. */
export function dayName(at: Date): string {
  return at.toLocaleDateString(locale ?? [], { weekday: 'short', day: 'numeric', month: 'short' });
}

/** A day (`2026-11-28`, in UTC) as people write it. */
export function dayText(day: string): string {
  return new Date(day).toLocaleDateString(locale ?? [], {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC'
  });
}

/** US dollars, with the sign: `$1.52`. */
export function dollars(amount: number): string {
  const digits = amount !== 0 && Math.abs(amount) < 0.1 ? 3 : 2;
  return amount.toLocaleString(locale ?? [], {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: 2,
    maximumFractionDigits: digits
  });
}

/** A number of hours: `41 h`, `0.4 h`. */
export function hoursText(hours: number, trans: TranslationBundle): string {
  const digits = hours >= 10 ? 0 : 1;
  const number = hours.toLocaleString(locale ?? [], { maximumFractionDigits: digits });
  return trans.__('%1 h', number);
}
