import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { draftOf, read, ruleOf } from '../model/fields';
import { report } from './given';

const trans = nullTranslator.load('');
const { limits } = report().policy;

describe('the field', () => {
  it.each([
    ['idle_timeout_minutes', '2 h', 120],
    ['idle_timeout_minutes', '10', 10],
    ['idle_timeout_minutes', '8 h', 480],
    ['kernel_idle_timeout_minutes', ' ', null],
    ['warn_minutes', '0', 0],
    ['warn_minutes', '1 d', 1440]
  ] as const)('%s accepts the text %j', (name, text, minutes) => {
    expect(read(name, text, limits, trans)).toEqual({ minutes });
  });

  it.each([
    ['idle_timeout_minutes', '9', 'Must be from 10 m to 8 h'],
    ['idle_timeout_minutes', '8 h 1 s', 'Must be from 10 m to 8 h'],
    ['idle_timeout_minutes', '', 'Enter a time such as'],
    ['warn_minutes', '25 h', 'Must be from 0 m to 1 d'],
    ['warn_minutes', 'soon', 'Enter a time such as']
  ] as const)('%s rejects the text %j', (name, text, words) => {
    expect(read(name, text, limits, trans)).toEqual({ wrong: expect.stringContaining(words) });
  });
});

describe('ruleOf()', () => {
  const draft = { instance_type: ' ml.g5.* ', kernel_name: '', image: '', limit: '30 m' };

  it('makes a rule of the fields that the user filled in', () => {
    const rule = { instance_type: 'ml.g5.*', idle_timeout_minutes: 30 };
    expect(ruleOf(draft, limits, trans)).toEqual({ rule });
    expect(ruleOf(draftOf(rule, trans), limits, trans)).toEqual({ rule });
  });

  it('requires a condition, and a limit within the bounds', () => {
    const nothing = ruleOf({ ...draft, instance_type: ' ' }, limits, trans);
    expect(nothing).toEqual({ wrong: expect.stringContaining('Enter what the rule is for') });
    const short = ruleOf({ ...draft, limit: '1 m' }, limits, trans);
    expect(short).toEqual({ wrong: expect.stringContaining('Must be from 10 m') });
  });
});

describe('a rule with only_when_it_saves', () => {
  const rule = { instance_type: 'ml.g5.*', only_when_it_saves: true };

  it('keeps only_when_it_saves when the user edits it, with and without a limit', () => {
    expect(ruleOf(draftOf(rule, trans), limits, trans)).toEqual({ rule });
    const draft = { ...draftOf(rule, trans), limit: '30 m' };
    expect(ruleOf(draft, limits, trans)).toEqual({ rule: { ...rule, idle_timeout_minutes: 30 } });
  });
});
