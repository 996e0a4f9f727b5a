import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it } from 'vitest';

import { ServerSettings } from '../behaviour/serversettings';
import type { Poller } from '../behaviour/poller';
import type { Change, ISettingsAnswer } from '../model/types';
import { report } from './given';

describe('ServerSettings', () => {
  let asked = 0;
  let served: ISettingsAnswer;
  let state = { report: report(), error: null as string | null };
  let emit: () => void;
  let choices: ServerSettings;
  let patches: Change[] = [];
  let running = 0;
  let mostAtOnce = 0;

  beforeEach(() => {
    const { locked, limits, ...settings } = report().policy;
    asked = 0;
    served = { settings, user: {}, defaults: settings, limits, locked };
    state = { report: report(), error: null };
    const poller = {
      get state() {
        return state;
      },
      acted: async () => undefined
    };
    const changed = new Signal<object, void>({});
    emit = () => changed.emit();
    const api = {
      settings: async () => {
        asked += 1;
        return served;
      },
      patch: async (change: Change) => {
        patches.push(change);
        running += 1;
        mostAtOnce = Math.max(mostAtOnce, running);
        await settle();
        running -= 1;
        if (change.idle_timeout_minutes === 5) {
          throw new Error('must be at least 10');
        }
        served = { ...served, settings: { ...served.settings, ...(change as object) } };
        return served;
      }
    };
    choices = new ServerSettings(api, Object.assign(poller, { changed }) as unknown as Poller);
  });

  const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 0));

  it('requests the settings once, and only if the form is open', async () => {
    emit();
    await settle();
    expect(asked).toBe(0);
    choices.wanted = true;
    await settle();
    emit();
    emit();
    await settle();
    expect(asked).toBe(1);
    expect(choices.value?.settings.idle_timeout_minutes).toBe(120);
  });

  it('requests the settings again after another client has changed them', async () => {
    choices.wanted = true;
    await settle();
    served = { ...served, settings: { ...served.settings, keep_terminals: true } };
    state.report.policy.keep_terminals = true;
    emit();
    await settle();
    expect(choices.value?.settings.keep_terminals).toBe(true);
    expect(asked).toBe(2);
  });

  it('requests no settings while the server does not answer', async () => {
    state.error = 'gone';
    choices.wanted = true;
    emit();
    await settle();
    expect(asked).toBe(0);
  });

  it('shows the settings that the server returned, and keeps them after a rejected change', async () => {
    choices.wanted = true;
    await settle();
    await choices.patch({ idle_timeout_minutes: 90 });
    expect(choices.value?.settings.idle_timeout_minutes).toBe(90);
    await expect(choices.patch({ idle_timeout_minutes: 5 })).rejects.toThrow('at least 10');
    expect(choices.value?.settings.idle_timeout_minutes).toBe(90);
  });

  it('sends the changes one after another in their order, also after a rejected change', async () => {
    const changes = [{ idle_timeout_minutes: 5 }, { enabled: false }, { enabled: true }];
    patches = [];
    const results = await Promise.allSettled(changes.map(change => choices.patch(change)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(patches).toEqual(changes);
    expect(mostAtOnce).toBe(1);
    expect(choices.value?.settings.enabled).toBe(true);
  });
});
