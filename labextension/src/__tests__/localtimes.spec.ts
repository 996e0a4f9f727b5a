/** Durations and times in the language of the host, wherever the panel shows them. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { setLanguage } from '../model/durations';
import { read } from '../model/fields';
import { instanceSentence, instanceWords } from '../model/instancesentences';
import { namesOf } from '../model/names';
import { announcement, countdown, doing, stopWords } from '../model/phrases';
import { grouped } from '../model/report';
import { explain } from '../model/sentences';
import { translated } from '../model/servertexts';
import { settingsSummary } from '../model/settingssummary';
import type { IResource } from '../model/types';
import { typed } from '../model/typedtimes';
import recorded from './reports/sentences.json';
import { APP, NOW, at, report, resource } from './given';
import { translatorOf } from './translator';

/** A number with an English unit, or a time with AM or PM. */
const ENGLISH = /\d\s?(s|sec|m|min|h|d|seconds?|minutes?|hours?|days?|AM|PM)(?![\p{L}])/u;

/** One row for each sentence that the server can cause; it is idle for 1 h 30 m and stops soon. */
const ROWS: IResource[] = recorded.map((entry, index) =>
  resource({
    kind: entry.kind as 'kernel',
    id: `r${index}`,
    reason: entry.reason,
    parameters: {
      ...(entry.parameters as unknown as Record<string, string>),
      silent_since: at(-700),
      since: at(-1)
    },
    detail: 'DETAIL OF THE SERVER',
    kept_until: entry.reason === 'kept-alive' ? at(60) : null,
    ...(entry.idle
      ? { idle_since: at(-90.5), warn_at: at(-1), due_at: at(1.5) }
      : { idle_since: null, warn_at: null, due_at: null })
  })
);

describe.each(['ko_KR', 'zh_CN'])('in %s', language => {
  const trans = translatorOf(language);
  beforeAll(() => setLanguage(language));
  afterAll(() => setLanguage('en'));

  it.each(ROWS)('a row, its sentences, its tooltip and its notice: $reason $parameters', row => {
    const current = report(row);
    const names = namesOf(current.resources, trans);
    const context = { report: current, names, answered: true, now: NOW, trans };
    const texts = [
      doing(row, NOW, trans),
      ...explain(row, context),
      stopWords(row, current, true, NOW, trans),
      announcement([row], [row], NOW, trans),
      countdown(current, NOW, trans) ?? ''
    ];
    const detail = /99 %|DETAIL/g; // the words of the server and of the operating system
    expect(texts.filter(text => ENGLISH.test(text.replace(detail, '')))).toEqual([]);
  });

  it('an instance', () => {
    const current = report({ ...APP, idle_since: at(-90), warn_at: at(-1), due_at: at(4) });
    const names = namesOf(current.resources, trans);
    const context = { report: current, names, answered: true, now: NOW, trans };
    const [instance] = grouped(current.resources);
    const texts = [instanceWords(instance, context), instanceSentence(instance, context)];
    expect(texts.filter(text => ENGLISH.test(text))).toEqual([]);
  });

  it('a setting in its field, and in the sentence above', () => {
    const texts = [0, 0.5, 90, 90.5, 1500].map(minutes => typed(minutes, trans));
    const { policy, platform } = report();
    texts.push(...settingsSummary(policy, platform, trans));
    for (const wrong of ['soon', '1', '9000 h']) {
      texts.push(JSON.stringify(read('idle_timeout_minutes', wrong, policy.limits, trans)));
    }
    expect(texts.filter(text => ENGLISH.test(text))).toEqual([]);
  });

  it('a sentence of the server, also inside another one', () => {
    const late = {
      text: 'A pass has been waiting for %1: %2. Nothing is removed meanwhile.',
      arguments: [{ seconds: 75 }, 'x']
    };
    const nested = {
      text: 'Deleting app %1 failed: %2.',
      arguments: [
        'a',
        { parts: [{ text: 'no answer within %1 (%2)', arguments: [{ seconds: 40 }, 'TimedOut'] }] }
      ]
    };
    const since = { text: '%1', arguments: [{ at: at(-1) }] };
    for (const part of [late, nested, since]) {
      const text = translated([part], 'ENGLISH', trans);
      expect(text).not.toMatch(ENGLISH);
      expect(text).not.toMatch(/object|undefined|ENGLISH|no answer/);
    }
  });
});

it('finds English durations', () => {
  for (const text of ['12 s', '1 h 05 m', '2 min.', 'in 5 minutes', '3:04 PM']) {
    expect(text).toMatch(ENGLISH);
  }
});

it('writes the durations of a sentence of the server in German', () => {
  const part = { text: 'Ask again in %1, and less often.', arguments: [{ seconds: 300 }] };
  expect(translated([part], '', translatorOf('de_DE'))).toBe(
    'Fragen Sie in 5 min erneut, und seltener.'
  );
});
