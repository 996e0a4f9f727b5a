import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { standalone } from '../model/guide';

const DOCS = resolve(__dirname, '..', '..', '..', 'docs');

describe('standalone() converts a page of the documentation', () => {
  it.each([
    ['a picture', 'a\n\n![The notice](images/warning.png)\n\nb\n', 'a\n\nb\n'],
    ['a table of pictures', '| x |\n|---|\n| ![y](y.png) |\n\nb\n', '\nb\n'],
    ['another table', '| x |\n|---|\n| y |\n', '| x |\n|---|\n| y |\n'],
    ['a link to another page', 'see [settings](reference/settings.md).', 'see settings.'],
    ['a link to a site', '[Jupyter](https://jupyter.org)', '[Jupyter](https://jupyter.org)']
  ])('%s', (_, markdown, expected) => {
    expect(standalone(markdown)).toBe(expected);
  });

  it.each(['users.md', 'bring-back.md'])(
    'the page %s links to no other page of the documentation',
    name => {
      const text = standalone(readFileSync(join(DOCS, name), 'utf8'));
      expect(text.length).toBeGreaterThan(1_000);
      expect(text).not.toMatch(/\]\((?!https?:)/);
    }
  );
});
