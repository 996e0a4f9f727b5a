import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { Gettext } from '@jupyterlab/translation';
import type { TranslationBundle } from '@jupyterlab/translation';
import { vi } from 'vitest';

export const LOCALE = resolve(__dirname, '..', '..', '..', 'auto_shutdown', 'locale');
export const DOMAIN = 'jupyterlab_auto_shutdown';

/** The translator of a language, as the host makes it of our catalogue. */
export function translatorOf(name: string): TranslationBundle {
  const path = join(LOCALE, name, 'LC_MESSAGES', `${DOMAIN}.json`);
  const catalogue = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string[]>;
  const { language, plural_forms } = catalogue[''] as unknown as Record<string, string>;
  vi.stubGlobal('document', { documentElement: { getAttribute: () => language } });
  const header = { language, domain: DOMAIN, pluralForms: plural_forms };
  const trans = new Gettext({ locale: language, domain: DOMAIN });
  vi.unstubAllGlobals();
  trans.loadJSON({ ...catalogue, '': header }, DOMAIN);
  return trans as unknown as TranslationBundle;
}
