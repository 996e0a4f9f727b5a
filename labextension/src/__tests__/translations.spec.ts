import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { nullTranslator } from '@jupyterlab/translation';
import * as ts from 'typescript';
import { describe, expect, it } from 'vitest';

import { translated } from '../model/servertexts';
import { DOMAIN, LOCALE, translatorOf } from './translator';

const SOURCE = resolve(__dirname, '..');
const SCHEMA = resolve(__dirname, '..', '..', 'schema', 'plugin.json');
/** Between the context of a text and the text itself. */
const CONTEXT_END = '\u0004';

interface ICatalogue {
  [text: string]: string[] | { language: string; plural_forms: string; domain: string };
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return entry.name === '__tests__' ? [] : sourceFiles(path);
    }
    return /\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

/** The text of a string literal, or of several with a plus between them. */
function literal(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) {
    return node.text;
  }
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    return literal(node.left) + literal(node.right);
  }
  throw new Error(`A text to translate has to be a literal: ${node.getText()}`);
}

/** The texts that the code gives to the translator; those with a plural have both forms. */
function textsIn(path: string): { text: string; plural: string | null }[] {
  const code = readFileSync(path, 'utf8');
  const file = ts.createSourceFile(path, code, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const texts: { text: string; plural: string | null }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const name = node.expression.name.text;
      if (name === '__') {
        texts.push({ text: literal(node.arguments[0]), plural: null });
      } else if (name === '_n') {
        texts.push({ text: literal(node.arguments[0]), plural: literal(node.arguments[1]) });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return texts;
}

/** Attributes and properties that hold a text for people. */
const SPOKEN =
  /^(title|aria-?label|placeholder|alt|label|caption|text|textContent|innerText|okLabel|body)$/i;

/** Has no translation. */
const NAME = 'Auto Shutdown';

/** The name of the attribute or property that gets the value `node`; empty if there is none. */
function receiverOf({ parent }: ts.Node): string {
  if (parent === undefined) {
    return '';
  }
  if (ts.isJsxAttribute(parent) || ts.isPropertyAssignment(parent)) {
    return parent.name.getText();
  }
  return ts.isBinaryExpression(parent) && ts.isPropertyAccessExpression(parent.left)
    ? parent.left.name.text
    : '';
}

/** Whether nobody reads the strings in `node`: it is a call of the translator, or makes an error for
 * developers. */
function isCovered(node: ts.Node): boolean {
  if (ts.isNewExpression(node)) {
    return /Error$/.test(node.expression.getText());
  }
  return (
    ts.isCallExpression(node) &&
    ts.isPropertyAccessExpression(node.expression) &&
    ['__', '_n'].includes(node.expression.name.text)
  );
}

/**
 * Text for people without a translator: in the markup (`>Save<`), in an attribute or property that
 * people read, or anywhere if it begins like a sentence (`Shut down`).
 */
function untranslated(code: string): string[] {
  const file = ts.createSourceFile('x', code, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    const text =
      ts.isJsxText(node) || ts.isStringLiteralLike(node) || ts.isTemplateHead(node)
        ? node.text.trim()
        : '';
    const isShown =
      ts.isJsxText(node) || SPOKEN.test(receiverOf(node)) || /^\p{Lu}\p{L}*,? \p{L}+/u.test(text);
    if (isShown && /\p{L}{2,}/u.test(text) && text !== NAME) {
      texts.push(text);
    }
    if (!isCovered(node)) {
      ts.forEachChild(node, visit);
    }
  };
  visit(file);
  return texts;
}

const FILES = sourceFiles(SOURCE);

/** Sentences of the server; tests/core/test_translatable.py compares them with the server's code. */
const isOfServer = (text: string): boolean => text.startsWith(`server${CONTEXT_END}`);

/** Each text that has to be translated, and its plural. */
const TEXTS = new Map<string, string | null>();
for (const { text, plural } of FILES.flatMap(textsIn)) {
  TEXTS.set(text, plural);
}
const schema = JSON.parse(readFileSync(SCHEMA, 'utf8')) as {
  title: string;
  description: string;
  properties: { [name: string]: { title: string; description: string } };
};
for (const part of [schema, ...Object.values(schema.properties)]) {
  TEXTS.set(`schema${CONTEXT_END}${part.title}`, null);
  TEXTS.set(`schema${CONTEXT_END}${part.description}`, null);
}

const placeholders = (text: string): string[] => [...new Set(text.match(/%\d/g) ?? [])].sort();

/** How many forms a plural has, by the catalogue's own rule. */
const FORMS: Record<string, number> = { de_DE: 2, ko_KR: 1, zh_CN: 1 };

/** The host ignores a translated plural with only one form. Languages with one form repeat it. */
const LISTED_FORMS = 2;

describe('the sentences of the server', () => {
  const sentences = [
    { text: 'Cannot write %1: %2.', arguments: ['/a%20b', 'No space left on device'] },
    { text: 'The previous settings still apply.', arguments: [] }
  ];

  it('are shown in the language of the host, with their arguments as they are', () => {
    expect(translated(sentences, 'English', translatorOf('de_DE'))).toBe(
      '/a%20b kann nicht geschrieben werden: No space left on device. ' +
        'Die bisherigen Einstellungen gelten weiter.'
    );
  });

  it('are shown in English without a catalogue', () => {
    expect(translated(sentences, 'English', nullTranslator.load(''))).toBe(
      'Cannot write /a%20b: No space left on device. The previous settings still apply.'
    );
  });

  it('stay English if the catalogue lacks them, or if the server sends none', () => {
    const unknown = [{ text: 'The moon is %1.', arguments: ['full'] }];
    expect(translated(unknown, 'English', translatorOf('de_DE'))).toBe('The moon is full.');
    expect(translated(undefined, 'English', translatorOf('de_DE'))).toBe('English');
  });
});

describe('the texts of the panel', () => {
  it('are collected from the code', () => {
    expect(TEXTS.size).toBeGreaterThan(200);
    expect(TEXTS.get('%1 instance')).toBe('%1 instances');
  });

  it.each(FILES.map(path => [path.slice(SOURCE.length + 1), path]))(
    '%s contains no untranslated text',
    (_, path) => {
      expect(untranslated(readFileSync(path, 'utf8'))).toEqual([]);
    }
  );

  it.each([
    '<p>Saved</p>',
    '<button aria-label="Keep" />',
    "button.textContent = 'Keep';",
    "Dialog.okButton({ label: 'Run' })",
    "const words = 'Nothing is stopped.';",
    'const words = `Stops at ${at}`;'
  ])('untranslated() reports: %s', code => {
    expect(untranslated(code)).toHaveLength(1);
  });
});

describe.each(Object.keys(FORMS))('the catalogue %s', name => {
  const path = join(LOCALE, name, 'LC_MESSAGES', `${DOMAIN}.json`);
  const catalogue = JSON.parse(readFileSync(path, 'utf8')) as ICatalogue;

  it('states its language and its number of plural forms', () => {
    const language = name.replace('_', '-');
    expect(catalogue['']).toMatchObject({ language, domain: DOMAIN });
    const { plural_forms } = catalogue[''] as { plural_forms: string };
    expect(plural_forms).toContain(`nplurals=${FORMS[name]};`);
  });

  it('contains every text of the panel, and no other text', () => {
    const translated = new Set(Object.keys(catalogue).filter(text => text !== ''));
    const missing = [...TEXTS.keys()].filter(text => !translated.has(text));
    const unused = [...translated].filter(text => !TEXTS.has(text) && !isOfServer(text));
    expect({ missing, unused }).toEqual({ missing: [], unused: [] });
  });

  it('gives the host a translation of every plural', () => {
    const trans = translatorOf(name);
    const plurals = [...TEXTS].filter((entry): entry is [string, string] => entry[1] !== null);
    expect(plurals.length).toBeGreaterThan(10);
    for (const [text, plural] of plurals) {
      for (const count of [1, 2, 30]) {
        const form = (catalogue[text] as string[])[FORMS[name] > 1 && count !== 1 ? 1 : 0];
        expect(trans._n(text, plural, count)).toBe(form.replace('%1', String(count)));
      }
    }
  });

  it('keeps the placeholders of every text', () => {
    const wrong: string[] = [];
    for (const [text, plural] of TEXTS) {
      const forms = (catalogue[text] ?? []) as string[];
      const expected = plural === null ? 1 : LISTED_FORMS;
      if (
        forms.length !== expected ||
        forms.some(
          form =>
            form.trim() === '' || placeholders(form).join() !== placeholders(plural ?? text).join()
        )
      ) {
        wrong.push(text);
      }
    }
    expect(wrong).toEqual([]);
  });
});
