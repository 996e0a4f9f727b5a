import type { IReport, ISavedDay } from './types';

/** What all billed instances cost together: the known part, and how many prices are unknown. */
export interface IRate {
  usd: number;
  unpriced: number;
}

/** The price of an instance type an hour in US dollars; null where it is unknown. */
export function priceOf(type: string, report: IReport): number | null {
  return report.savings.usd_per_hour?.[type] ?? null;
}

/** The price of these instance types together; an owner has one instance of each type. */
export function rateOf(types: string[], report: IReport): IRate {
  const prices = types.map(type => priceOf(type, report));
  return {
    usd: prices.reduce<number>((sum, price) => sum + (price ?? 0), 0),
    unpriced: prices.filter(price => price === null).length
  };
}

export interface IMonth {
  hours: number;
  usd: number;
  unpricedHours: number;
  /** The first day that counts in it (`2026-11-01`, or when the log begins). */
  since: string;
  /** Every day of the month up to today, oldest first. */
  days: ISavedDay[];
}

/** What this month's removals saved, by days of UTC as the server counts them. */
export function thisMonth(report: IReport, now: number): IMonth {
  const today = new Date(now).toISOString().slice(0, 10);
  const month = today.slice(0, 7);
  const saved = new Map((report.savings.days ?? []).map(day => [day.day, day]));
  const days: ISavedDay[] = [];
  for (let number = 1; number <= Number(today.slice(8)); number += 1) {
    const day = `${month}-${String(number).padStart(2, '0')}`;
    days.push(saved.get(day) ?? { day, instance_hours: 0, usd: 0, unpriced_hours: 0 });
  }
  const sum = (value: (day: ISavedDay) => number): number =>
    days.reduce((total, day) => total + value(day), 0);
  const begins = report.savings.since?.slice(0, 10) ?? today;
  return {
    hours: sum(day => day.instance_hours),
    usd: sum(day => day.usd),
    unpricedHours: sum(day => day.unpriced_hours),
    since: begins > days[0].day ? begins : days[0].day,
    days
  };
}
