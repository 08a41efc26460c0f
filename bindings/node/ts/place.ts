// Where a persistence keeps its cache, as an absolute path. It is resolved once, so that a later `chdir` neither moves the cache
// nor separates it from its lock, its marker or its watcher; `getFilePath()` goes on giving the spelling that came in.
import { resolve } from "node:path";

interface Place {
  readonly given: string;
  readonly absolute: string;
}

const places = new WeakMap<object, Place>();

/** The absolute path of a persistence. */
export function placeOf(persistence: { getFilePath(): string }): string {
  const given = persistence.getFilePath();
  const known = places.get(persistence);
  if (known?.given === given) {
    return known.absolute;
  }
  const absolute = resolve(given);
  places.set(persistence, { given, absolute });
  return absolute;
}

/** Resolves the path of a persistence that is being made, whose methods cannot be called yet. */
export function place(persistence: object, given: string): void {
  places.set(persistence, { given, absolute: resolve(given) });
}

/** Gives a persistence the place of the file that it is made over. */
export function placeBeside(persistence: object, file: object): void {
  const known = places.get(file);
  if (known !== undefined) {
    places.set(persistence, known);
  }
}
