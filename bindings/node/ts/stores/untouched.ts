// Tells whether a persistence is exactly one of ours. Only then may its methods be bypassed by the native shortcut: a
// subclass, a proxy or a replaced method (as test doubles do) is always called.
import { types } from "node:util";

type Methods = Readonly<Record<string, unknown>>;

const originals = new WeakMap<object, Methods>();

/** The methods that a native call takes the place of. */
const METHODS = [
  "save",
  "load",
  "delete",
  "reloadNecessary",
  "getFilePath",
  "verifyPersistence",
  "createForPersistenceValidation",
];

/** Records a class of this package, whose instances have a native cache, as it is now. */
export function recordStore(Class: { readonly prototype: object }): void {
  const { prototype } = Class;
  originals.set(prototype, Object.fromEntries(METHODS.map((name) => [name, (prototype as Methods)[name]])));
  recordClass(Class);
}

/** Whether `persistence` is an instance of a recorded class itself, with every recorded method in place. */
export function isUntouched(persistence: object): boolean {
  if (types.isProxy(persistence)) {
    return false;
  }
  const methods = originals.get(Object.getPrototypeOf(persistence));
  if (methods === undefined) {
    return false;
  }
  for (const name in methods) {
    if ((persistence as Methods)[name] !== methods[name]) {
      return false;
    }
  }
  return true;
}

/** Every property of a class of this package and of its prototype, as they were when it was defined. */
const shipped = new WeakMap<object, ReadonlyMap<PropertyKey, unknown>>();

/** Records a class of this package as it is now. */
export function recordClass(Class: { readonly prototype: object }): void {
  for (const part of partsOf(Class)) {
    if (!shipped.has(part)) {
      shipped.set(part, valuesOf(part));
    }
  }
}

/** Whether a recorded class and those it extends are as they were: then none of their methods has to see its call. */
export function isShipped(Class: { readonly prototype: object }): boolean {
  return partsOf(Class).every((part) => {
    const recorded = shipped.get(part);
    const now = valuesOf(part);
    return recorded?.size === now.size && [...now].every(([key, value]) => recorded.get(key) === value);
  });
}

function partsOf(Class: { readonly prototype: object }): object[] {
  const parts: object[] = [];
  for (let one = Class; one !== Function.prototype; one = Object.getPrototypeOf(one)) {
    parts.push(one, one.prototype);
  }
  return parts;
}

function valuesOf(part: object): Map<PropertyKey, unknown> {
  const keys = Reflect.ownKeys(part);
  return new Map(keys.map((key) => [key, Object.getOwnPropertyDescriptor(part, key)?.value]));
}
