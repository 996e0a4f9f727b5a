import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

const SOURCE = resolve(__dirname, '..');

/** The folders that a file of each folder may import from, besides its own. */
const ALLOWED: Record<string, string[]> = {
  model: [],
  view: ['model'],
  behaviour: ['model', 'view'],
  '.': ['model', 'view', 'behaviour']
};

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return entry.name === '__tests__' ? [] : sourceFiles(path);
    }
    return /\.tsx?$/.test(entry.name) ? [relative(SOURCE, path)] : [];
  });
}

const FILES = sourceFiles(SOURCE);

/** The files of the panel that `file` imports, types included. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(SOURCE, file), 'utf8');
  const specifiers = [
    ...text.matchAll(/\bfrom '(\.[^']*)'|\bimport\((?:\/\*.*?\*\/ )?'(\.[^']*(?<!\.md))'\)/g)
  ];
  return specifiers.map(match => {
    const path = join(dirname(file), match[1] ?? match[2]);
    const target = FILES.find(known => known.replace(/\.tsx?$/, '') === path);
    if (target === undefined) {
      throw new Error(`${file} imports ${path}, which is no source file`);
    }
    return target;
  });
}

/** A path of imports that ends where it begins; null when there is none. */
function findCircle(imports: Map<string, string[]>): string[] | null {
  const finished = new Set<string>();
  const visit = (file: string, path: string[]): string[] | null => {
    if (path.includes(file)) {
      return [...path.slice(path.indexOf(file)), file];
    }
    if (finished.has(file)) {
      return null;
    }
    for (const target of imports.get(file) ?? []) {
      const circle = visit(target, [...path, file]);
      if (circle !== null) {
        return circle;
      }
    }
    finished.add(file);
    return null;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle !== null) {
      return circle;
    }
  }
  return null;
}

describe('the imports of the panel', () => {
  it('form no cycle', () => {
    expect(FILES.length).toBeGreaterThan(20);
    expect(findCircle(new Map(FILES.map(file => [file, importsOf(file)])))).toBeNull();
  });

  it('are reported by findCircle() if they form a cycle', () => {
    const imports = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b']]
    ]);
    expect(findCircle(imports)).toEqual(['b', 'c', 'b']);
  });

  it.each(FILES)('%s imports only from the folders below it', file => {
    const folder = dirname(file);
    const foreign = importsOf(file).map(target => dirname(target));
    const allowed = [folder, ...ALLOWED[folder]];
    expect(foreign.filter(target => !allowed.includes(target))).toEqual([]);
  });
});
