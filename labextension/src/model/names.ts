import type { TranslationBundle } from '@jupyterlab/translation';

import type { IResource } from './types';

/** The fields from which a name is made. A resource and an outcome both have them. */
export type Named = Pick<IResource, 'kind' | 'id' | 'name' | 'paths'>;

export function keyOf(resource: Pick<IResource, 'kind' | 'id'>): string {
  return `${resource.kind} ${resource.id}`;
}

/** A path without the drive that real-time collaboration puts before it. */
export function localPath(path: string): string {
  return path.replace(/^[^/]*:/, '');
}

/** The image of an image terminal, from its id `arn:…:image/NAME__VERSION__INSTANCE-TYPE`. */
function imageOf(id: string): string | null {
  return /^arn:[^/]*\/(.+?)(?:__|$)/.exec(id)?.[1] ?? null;
}

/** The name by which people know a resource, without its place. */
export function title(resource: Named, trans: TranslationBundle): string {
  if (resource.kind === 'terminal') {
    const image = imageOf(resource.id);
    return image === null
      ? trans.__('terminal %1', resource.name)
      : trans.__('terminal of %1', image);
  }
  if (resource.kind === 'app') {
    // Studio's names are image, instance type and a hash; the type stands above it already.
    return resource.name.replace(/-ml-[a-z0-9]+-[a-z0-9-]+-[0-9a-f]{20,}$/, '') || resource.id;
  }
  const path = resource.paths[0];
  return path ? (localPath(path).split('/').pop() ?? path) : resource.name || resource.id;
}

/** The few characters of an id that differ most: the first of a kernel's, the last of an app's. */
function shortId(resource: Named): string {
  return resource.kind === 'app' ? resource.id.slice(-5) : resource.id.slice(0, 5);
}

/** The place of a resource: a notebook's folder, an app's instance type, or a part of the id. */
function place(resource: Named): string {
  const path = resource.paths[0];
  if (resource.kind === 'app') {
    const type = /-(ml-[a-z0-9]+-[a-z0-9]+)-[0-9a-f]{20,}$/.exec(resource.name)?.[1];
    return type?.replace(/-/g, '.') ?? shortId(resource);
  }
  if (resource.kind !== 'kernel' || !path) {
    return shortId(resource);
  }
  const folders = localPath(path).split('/').slice(0, -1);
  return folders.length === 0 ? './' : `${folders.join('/')}/`;
}

/** A title, and the place of the resource if another resource has the same title. */
export interface IName {
  title: string;
  place: string;
}

/** The names of all these resources. If two have the same title, both names also have a place. */
export function namesOf(resources: Named[], trans: TranslationBundle): Map<string, IName> {
  const titled = resources.map(r => ({ key: keyOf(r), resource: r, title: title(r, trans) }));
  const keys = new Map<string, Set<string>>();
  const places = new Map<string, Set<string>>();
  const add = (map: Map<string, Set<string>>, name: string, key: string): void => {
    map.set(name, (map.get(name) ?? new Set()).add(key));
  };
  for (const { key, resource, title: name } of titled) {
    add(keys, name, key);
    add(places, `${name}\n${place(resource)}`, key);
  }
  const found = new Map<string, IName>();
  for (const { key, resource, title: name } of titled) {
    if ((keys.get(name)?.size ?? 0) < 2) {
      found.set(key, { title: name, place: '' });
      continue;
    }
    const where = place(resource);
    // Two kernels of one notebook: only their ids tell them apart.
    const twice = (places.get(`${name}\n${where}`)?.size ?? 0) > 1;
    const id = shortId(resource);
    found.set(key, { title: name, place: twice && where !== id ? `${where} ${id}` : where });
  }
  return found;
}

/** Title and place in one text: `eval.ipynb (b/)`. */
export function fullName(name: IName): string {
  return name.place === '' ? name.title : `${name.title} (${name.place})`;
}

/** The full name of one of `all`. */
export function nameAmong(resource: Named, all: Named[], trans: TranslationBundle): string {
  const known = all.some(r => keyOf(r) === keyOf(resource));
  const names = namesOf(known ? all : [...all, resource], trans);
  return fullName(names.get(keyOf(resource)) ?? { title: title(resource, trans), place: '' });
}
