import { localPath } from './names';
import type { IOutcome } from './types';

/** All removals, newest first: those in the report, and the older ones from the audit log. */
export function removals(outcomes: IOutcome[], history: IOutcome[]): IOutcome[] {
  const key = (o: IOutcome): string => `${o.at} ${o.kind} ${o.id}`;
  const reported = new Set(outcomes.map(key));
  const all = [...outcomes, ...history.filter(o => !reported.has(key(o)))];
  return all.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

/** The removal of the app of a removed kernel, if the app was removed with the kernel. */
export function appOf(outcome: IOutcome, all: IOutcome[]): IOutcome | null {
  const at = Date.parse(outcome.at);
  const found = all.find(
    o =>
      o.kind === 'app' &&
      o.id === outcome.app &&
      ended(o) &&
      Math.abs(Date.parse(o.at) - at) < 10 * 60_000
  );
  return found ?? null;
}

/** Whether the resource has ended. */
export function ended(outcome: IOutcome): boolean {
  return outcome.outcome === 'removed' || outcome.outcome === 'gone';
}

/** A newly opened document does not show the message of a removal older than this. */
const NEWS = 7 * 86_400_000;

export type Telling = 'stopped' | 'new-kernel' | null;

/**
 * Which message a document shows about the removal of its kernel. `stopped`: it has no kernel, or the
 * host has not noticed the removal yet. `new-kernel`: it has a new kernel, without the old variables.
 * With `runnable`, the earlier cells can be run again, so a new kernel does not end the message.
 */
export function telling(
  outcome: IOutcome,
  kernel: string | null,
  ready: boolean,
  shown: Telling,
  now: number,
  runnable = false
): Telling {
  if (kernel === outcome.id) {
    return 'stopped';
  }
  if (kernel === null) {
    return ready ? 'stopped' : shown;
  }
  // The user has started a new kernel since the message was shown.
  if ((shown === 'stopped' && !runnable) || now - Date.parse(outcome.at) > NEWS) {
    return null;
  }
  return 'new-kernel';
}

/** The newest removal of a kernel of this document by Auto Shutdown. */
export function endOf(path: string, all: IOutcome[]): IOutcome | null {
  const found = all.find(
    o => o.kind === 'kernel' && o.outcome === 'removed' && o.paths.map(localPath).includes(path)
  );
  return found ?? null;
}

/** Whether the removal was tried and failed. */
export function failed(outcome: IOutcome): boolean {
  return ['temporary', 'permanent', 'still-there'].includes(outcome.outcome);
}

/** How many removals the panel lists. */
const LISTED = 10;

/** The removals to list: failures of the last day first, then the newest. */
export function listedRemovals(all: IOutcome[], now: number): IOutcome[] {
  const shown = all.filter(o => o.outcome !== 'stale' && o.outcome !== 'gone');
  const urgent = (o: IOutcome): boolean => failed(o) && now - Date.parse(o.at) < 86_400_000;
  // One entry for each resource that keeps failing: its newest try.
  const tries = new Set<string>();
  const first = shown.filter(o => {
    const again = urgent(o) && tries.has(o.id);
    tries.add(urgent(o) ? o.id : '');
    return !again;
  });
  return [...first.filter(urgent), ...first.filter(o => !urgent(o))].slice(0, LISTED);
}
