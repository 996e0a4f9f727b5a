// @vitest-environment happy-dom

/** Parts of the panel whose code is requested when they are first drawn. */

import { nullTranslator } from '@jupyterlab/translation';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { beforeEach, describe, expect, it } from 'vitest';

import { failureWords } from '../behaviour/api';
import { h } from '../view/jsx';
import { OnDemand, Part } from '../view/ondemand';

const TRANS = nullTranslator.load('');
const NOT_LOADED = 'A part of Auto Shutdown could not be loaded.';

const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 0));

describe('OnDemand', () => {
  let requests: number;
  let served: boolean;
  let part: Part<{ name: string }>;
  let node: HTMLElement;
  let draw: (name: string, reachable?: boolean) => Promise<string>;

  beforeEach(() => {
    requests = 0;
    served = true;
    part = new Part(async () => {
      requests += 1;
      if (!served) {
        throw new Error('Loading chunk failed');
      }
      return ({ name }) => <p>Hello {name}</p>;
    });
    node = document.createElement('div');
    const root = createRoot(node);
    draw = async (name, reachable = true) => {
      flushSync(() =>
        root.render(<OnDemand part={part} with={{ name }} reachable={reachable} trans={TRANS} />)
      );
      await settle();
      return node.textContent ?? '';
    };
  });

  it('requests the code of a part once, and draws each change of its properties', async () => {
    expect(await draw('a')).toBe('Hello a');
    expect(await draw('b')).toBe('Hello b');
    expect(requests).toBe(1);
  });

  it('shows a message if the code cannot be loaded, and requests the code again on a click', async () => {
    served = false;
    expect(await draw('a')).toContain(NOT_LOADED);
    // The panel is drawn every second: that alone makes no request.
    expect(await draw('b')).toContain(NOT_LOADED);
    expect(requests).toBe(1);
    served = true;
    node.querySelector('button')?.click();
    await settle();
    expect(node.textContent).toBe('Hello b');
  });

  it('requests the code again when the server answers again', async () => {
    served = false;
    expect(await draw('a', false)).toContain(NOT_LOADED);
    served = true;
    expect(await draw('a', true)).toBe('Hello a');
    expect(requests).toBe(2);
  });
});

describe('a dialog whose code cannot be loaded', () => {
  it('failureWords() does not report that the server does not answer', () => {
    const error = Object.assign(new Error('Loading chunk 759 failed.'), { name: 'ChunkLoadError' });
    expect(failureWords(error, TRANS)).toContain(NOT_LOADED);
    expect(failureWords(new TypeError('fetch'), TRANS)).toContain('does not answer');
  });
});
