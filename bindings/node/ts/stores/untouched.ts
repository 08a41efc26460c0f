// Tells whether a persistence is exactly one of ours. Only then may its methods be bypassed by the native shortcut: a
// subclass, a proxy or a replaced method (as test doubles do) is always called.
import { types } from "node:util";

type Methods = Readonly<Record<string, unknown>>;

const originals = new WeakMap<object, Methods>();

/** Records the methods of a class of this package as they are now. */
export function recordMethods(prototype: object, names: readonly string[]): void {
  const methods: Record<string, unknown> = {};
  for (const name of names) {
    methods[name] = (prototype as Methods)[name];
  }
  originals.set(prototype, methods);
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
