import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { draftOf, read, ruleOf } from '../model/fields';
import { report } from './given';

const trans = nullTranslator.load('');
const { limits } = report().policy;

describe('a field', () => {
  it.each([
    ['idle_timeout_minutes', '2 h', 120],
    ['idle_timeout_minutes', '10', 10],
    ['idle_timeout_minutes', '8 h', 480],
    ['kernel_idle_timeout_minutes', ' ', null],
    ['warn_minutes', '0', 0],
    ['warn_minutes', '1 d', 1440]
  ] as const)('%s takes %j', (name, text, minutes) => {
    expect(read(name, text, limits, trans)).toEqual({ minutes });
  });

  it.each([
    ['idle_timeout_minutes', '9', 'Must be from 10 m to 8 h'],
    ['idle_timeout_minutes', '8 h 1 s', 'Must be from 10 m to 8 h'],
    ['idle_timeout_minutes', '', 'Enter a time such as'],
    ['warn_minutes', '25 h', 'Must be from 0 m to 1 d'],
    ['warn_minutes', 'soon', 'Enter a time such as']
  ] as const)('%s refuses %j as it is typed', (name, text, words) => {
    expect(read(name, text, limits, trans)).toEqual({ wrong: expect.stringContaining(words) });
  });
});

describe('a rule', () => {
  const draft = { instance_type: ' ml.g5.* ', kernel_name: '', image: '', limit: '30 m' };

  it('is what was typed, without what was left empty', () => {
    const rule = { instance_type: 'ml.g5.*', idle_timeout_minutes: 30 };
    expect(ruleOf(draft, limits, trans)).toEqual({ rule });
    expect(ruleOf(draftOf(rule), limits, trans)).toEqual({ rule });
  });

  it('needs something that it is for, and a limit within the bounds', () => {
    const nothing = ruleOf({ ...draft, instance_type: ' ' }, limits, trans);
    expect(nothing).toEqual({ wrong: expect.stringContaining('Enter what the rule is for') });
    const short = ruleOf({ ...draft, limit: '1 m' }, limits, trans);
    expect(short).toEqual({ wrong: expect.stringContaining('Must be from 10 m') });
  });
});

describe('a rule that says when a stop has to save something', () => {
  const rule = { instance_type: 'ml.g5.*', only_when_it_saves: true };

  it('keeps that when it is edited here, with and without a limit', () => {
    expect(ruleOf(draftOf(rule), limits, trans)).toEqual({ rule });
    const draft = { ...draftOf(rule), limit: '30 m' };
    expect(ruleOf(draft, limits, trans)).toEqual({ rule: { ...rule, idle_timeout_minutes: 30 } });
  });
});
