import type { TranslationBundle } from '@jupyterlab/translation';

export type Unit = 'd' | 'h' | 'm' | 's';

export const SECONDS: Record<Unit, number> = { d: 86_400, h: 3_600, m: 60, s: 1 };

/** From this many seconds on, a duration is shown without seconds. */
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

export function withUnit(count: number | string, unit: Unit, trans: TranslationBundle): string {
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
export function parts(minutes: number): [Unit, number][] {
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
