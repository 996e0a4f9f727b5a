import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { clock, duration } from '../model/durations';
import { parsed, spelled, typed } from '../model/typedtimes';

const trans = nullTranslator.load('');

describe('duration()', () => {
  it.each([
    [-5, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 m 00 s'],
    [119_000, '1 m 59 s'],
    [120_000, '2 m'],
    [3_600_000, '1 h'],
    [4_320_000, '1 h 12 m'],
    [3_660_000, '1 h 01 m'],
    [86_400_000, '1 d'],
    [100_800_000, '1 d 4 h']
  ])('formats %d ms as %s', (milliseconds, words) => {
    expect(duration(milliseconds, trans)).toBe(words);
  });
});

describe('parsed()', () => {
  it.each([
    ['90', 90],
    ['90 m', 90],
    ['2h', 120],
    ['2 hours', 120],
    ['1 h 30 m', 90],
    ['1.5 h', 90],
    ['1,5 h', 90],
    ['1:30', 90],
    ['30 s', 0.5],
    ['2 d', 2880],
    ['45min', 45],
    ['2 Std. 30 Min.', 150],
    ['2시간', 120],
    ['2 小时 30 分钟', 150]
  ])('reads %s as %d minutes', (text, minutes) => {
    expect(parsed(text)).toBe(minutes);
  });

  it.each(['', ' ', 'soon', '-5', '2 x', 'h', '1:75', '1e3'])('rejects %j', text => {
    expect(parsed(text)).toBeNull();
  });

  it.each([0, 0.1, 0.5, 5, 10, 59, 60, 90, 90.5, 119.123, 120, 1440, 2000, 525600])(
    'reads %d minutes from the text that typed() returns',
    minutes => {
      expect(parsed(typed(minutes, trans))).toBe(minutes);
    }
  );
});

describe('durations in sentences', () => {
  it.each([
    [120, '2 hours'],
    [60, '1 hour'],
    [90, '1 hour 30 minutes'],
    [0.5, '30 seconds'],
    [1441.5, '1 day 1 minute'],
    [0, '0 minutes']
  ])('spelled() writes %d minutes as %s', (minutes, words) => {
    expect(spelled(minutes, trans)).toBe(words);
  });

  it('clock() shows the day only if it is not today', () => {
    const noon = new Date(2026, 10, 24, 12, 0).getTime();
    expect(clock(noon + 3_600_000, noon)).not.toMatch(/Nov/);
    expect(clock(noon + 24 * 3_600_000, noon)).toMatch(/Nov|25/);
  });
});
