import { describe, expect, it } from 'vitest';

import { Look } from '../behaviour/look';

function storage(text: string | null = null): Pick<Storage, 'getItem' | 'setItem'> {
  const kept = new Map<string, string>(text === null ? [] : [['n', text]]);
  return {
    getItem: name => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value)
  };
}

describe('Look', () => {
  it('stores folds and order, and does not store the filter', () => {
    const shared = storage();
    new Look(shared, 'n').change({
      folded: ['billed'],
      order: 'name',
      filtering: true,
      filter: 'x'
    });
    expect(new Look(shared, 'n').value).toEqual({
      folded: ['billed'],
      order: 'name',
      filtering: false,
      filter: ''
    });
  });

  it.each(['no JSON', '{"folded": 5, "order": "odd"}', 'null'])(
    'uses the defaults if the storage has %s',
    text => {
      expect(new Look(storage(text), 'n').value).toMatchObject({
        folded: ['settings'],
        order: 'place'
      });
    }
  );
});
