import type { TranslationBundle } from '@jupyterlab/translation';

import { clock } from './durations';
import type { IOutcome, IStoppedEntry } from './types';

/** The entry that brings a removed kernel or terminal back; null where there is none. */
export function entryOf(
  outcome: Pick<IOutcome, 'kind' | 'id'>,
  entries: IStoppedEntry[]
): IStoppedEntry | null {
  return entries.find(e => e.kind === outcome.kind && e.resource === outcome.id) ?? null;
}

/** The kernels and terminals to bring back that the panel offers after a restart of the server. */
export interface IOffer {
  /** When the server ended. */
  at: string;
  entries: IStoppedEntry[];
}

/** Removals within this time before the end of the server belong to that end. */
const ONE_END = 10 * 60_000;
/** An entry that was stopped earlier than this before the end of the server is not offered. */
const OFFERED = 86_400_000;

/**
 * What was stopped in the last run of the server before `serverStarted`, where the extension ended
 * that run; null where there is nothing. `removals` tell when the server ended.
 */
export function endedBefore(
  entries: IStoppedEntry[],
  removals: IOutcome[],
  serverStarted: string
): IOffer | null {
  const started = Date.parse(serverStarted);
  const ends = [...entries, ...removals]
    .filter(({ ends_server }) => ends_server)
    .map(({ at }) => Date.parse(at))
    .filter(at => at < started)
    .sort((a, b) => b - a);
  if (ends.length === 0) {
    return null;
  }
  const [last] = ends;
  const previous = ends.find(at => last - at > ONE_END) ?? 0;
  const since = Math.max(previous, last - OFFERED);
  const offered = entries.filter(({ at }) => Date.parse(at) > since && Date.parse(at) < started);
  return offered.length === 0 ? null : { at: new Date(last).toISOString(), entries: offered };
}

/** `3 notebooks, 2 kernels, 1 terminal`: what `entries` bring back. */
export function countWords(entries: IStoppedEntry[], trans: TranslationBundle): string {
  const kernels = entries.filter(e => e.kind === 'kernel');
  const notebooks = new Set(kernels.flatMap(e => e.paths)).size;
  const terminals = entries.length - kernels.length;
  const parts: string[] = [];
  if (notebooks > 0) {
    parts.push(trans._n('%1 notebook', '%1 notebooks', notebooks));
  }
  if (kernels.length > 0) {
    parts.push(trans._n('%1 kernel', '%1 kernels', kernels.length));
  }
  if (terminals > 0) {
    parts.push(trans._n('%1 terminal', '%1 terminals', terminals));
  }
  return parts.join(', ');
}

/** `Stopped at 18:04: 3 notebooks, 2 kernels, 1 terminal.` */
export function offerWords(offer: IOffer, now: number, trans: TranslationBundle): string {
  return trans.__('Stopped at %1: %2.', clock(offer.at, now), countWords(offer.entries, trans));
}

/** What comes back after a stop, and what does not. */
export function comesBack(platform: string, trans: TranslationBundle): string[] {
  const sentences = [
    trans.__(
      'Comes back: the notebooks with their kernels, the code of the cells that had been run (Python only; you choose whether it runs again), and terminals in their folder.'
    ),
    trans.__(
      'Does not come back: the variables in memory, the commands in terminals, and what is outside your home folder if the app stops.'
    )
  ];
  if (platform === 'studio-classic') {
    sentences.push(noNewApps(trans));
  }
  return sentences;
}

/** AWS has closed Studio Classic to new apps; whether this account can start one is not known. */
export function noNewApps(trans: TranslationBundle): string {
  return trans.__(
    'AWS has closed Studio Classic to new apps: your account may not be able to start it again.'
  );
}
