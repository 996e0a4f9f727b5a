import { dayName, language } from './durations';

/** A time of the day with two digits for the hour: in a list, all times are equally wide. */
export function timeOfDay(instant: string): string {
  const at = new Date(instant);
  return at.toLocaleTimeString(language() ?? [], { hour: '2-digit', minute: '2-digit' });
}

/** A day as people call it: `today`, `yesterday`, `Fri 27 Nov`. */
export function dayWords(instant: string | number, now: number): string {
  const midnight = (of: string | number): number => new Date(of).setHours(0, 0, 0, 0);
  const before = Math.round((midnight(now) - midnight(instant)) / 86_400_000);
  return before === 0 || before === 1
    ? new Intl.RelativeTimeFormat(language(), { numeric: 'auto' }).format(-before, 'day')
    : dayName(new Date(instant));
}
