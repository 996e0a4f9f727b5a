import type { TranslationBundle } from '@jupyterlab/translation';

const SECONDS = { d: 86_400, h: 3_600, m: 60, s: 1 };

/** `45 s`, `12 m`, `1 h 12 m`, `3 d 4 h`: as the server says durations. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600) % 24;
  const days = Math.floor(seconds / 86400);
  if (days > 0) {
    return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
  }
  if (hours > 0) {
    return minutes > 0 ? `${hours} h ${String(minutes).padStart(2, '0')} m` : `${hours} h`;
  }
  return `${minutes} m`;
}

/** Parts of a number of minutes, largest first, zeros left out. */
function parts(minutes: number): ['d' | 'h' | 'm' | 's', number][] {
  let left = Math.round(minutes * 60);
  const found: ['d' | 'h' | 'm' | 's', number][] = [];
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const count = Math.floor(left / SECONDS[unit]);
    left -= count * SECONDS[unit];
    if (count > 0) {
      found.push([unit, count]);
    }
  }
  return found.length > 0 ? found : [['m', 0]];
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

const PART =
  /^(\d+(?:[.,]\d+)?)\s*(days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)?(?![a-z])\s*/i;

/** Minutes of what a person typed: `90`, `2 h`, `1 h 30 m`, `1:30`; null when it is none. */
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
    if (match === null) {
      return null;
    }
    const unit = (match[2] ?? 'm').charAt(0).toLowerCase() as keyof typeof SECONDS;
    seconds += Number(match[1].replace(',', '.')) * SECONDS[unit];
    counted = true;
    rest = rest.slice(match[0].length);
  }
  return counted ? seconds / 60 : null;
}

/** A time of the day as the person's own clock shows it; the day, too, where it is not today. */
export function clock(instant: string | number, now: number = Date.now()): string {
  const at = new Date(instant);
  const time = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  if (at.toDateString() === new Date(now).toDateString()) {
    return time;
  }
  return `${at.toLocaleDateString([], { weekday: 'short', day: 'numeric', month: 'short' })} ${time}`;
}
