import { describe, expect, it } from 'vitest';

import { Claims } from '../behaviour/claims';

const NOW = 1_000_000;
const DUE = [{ key: 'kernel k', due: NOW + 300_000 }];

function storage(): Pick<Storage, 'getItem' | 'setItem'> {
  const kept = new Map<string, string>();
  return {
    getItem: name => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value)
  };
}

describe('Claims', () => {
  const pages = (): [Claims, Claims] => {
    const shared = storage();
    return [new Claims(shared, 'n', 'one'), new Claims(shared, 'n', 'other')];
  };

  it('give a deadline to one page, and give it to the same page again', async () => {
    const [one, other] = pages();
    expect(await one.take(DUE, NOW)).toEqual(['kernel k']);
    expect(await other.take(DUE, NOW)).toEqual([]);
    expect(await one.take(DUE, NOW)).toEqual(['kernel k']);
  });

  it('give a deadline to no page after the user has read it', async () => {
    const [one, other] = pages();
    await one.take(DUE, NOW);
    await one.read(['kernel k']);
    expect(await one.take(DUE, NOW)).toEqual([]);
    expect(await other.take(DUE, NOW)).toEqual([]);
  });

  it('treat a much later deadline as new, and a slightly later deadline as the same', async () => {
    const [one] = pages();
    await one.take(DUE, NOW);
    await one.read(['kernel k']);
    expect(await one.take([{ key: 'kernel k', due: DUE[0].due + 60_000 }], NOW)).toEqual([]);
    const later = [{ key: 'kernel k', due: DUE[0].due + 3_600_000 }];
    expect(await one.take(later, NOW)).toEqual(['kernel k']);
  });

  it('give the deadline to another page when the first page is hidden or has crashed', async () => {
    const [one, other] = pages();
    await one.take(DUE, NOW);
    await one.release(['kernel k']);
    expect(await other.take(DUE, NOW)).toEqual(['kernel k']);
    expect(await one.take(DUE, NOW + 60_000)).toEqual([]);
    expect(await one.take(DUE, NOW + 91_000)).toEqual(['kernel k']);
  });

  it('keep a deadline that another page shows', async () => {
    const [one, other] = pages();
    await one.take(DUE, NOW);
    await other.release(['kernel k']);
    expect(await other.take(DUE, NOW)).toEqual([]);
  });

  it('delete old deadlines, and replace a stored value that is no JSON', async () => {
    const shared = storage();
    shared.setItem('n', 'no JSON');
    const one = new Claims(shared, 'n', 'one');
    expect(await one.take(DUE, NOW)).toEqual(['kernel k']);
    await one.take([], DUE[0].due + 3_600_001);
    expect(shared.getItem('n')).toBe('{}');
  });
});
