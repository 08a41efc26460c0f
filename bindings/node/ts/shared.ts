// What all copies of this package in one thread share, whatever loaded them: two dependencies, an alias, a test runner that
// loads modules anew, a `vm` context with a global object of its own.
import { builtin } from "./builtin";

/**
 * The object called `name`, made by the first copy that asks for it. The name carries the version of the object's form, so
 * that a copy that knows another form makes its own.
 */
export function shared<T extends object>(name: string, make: () => T): T {
  // A module of Node's own: unlike the global object, there is one for all contexts of a thread.
  const timers: object = builtin("node:timers");
  const home = (Object.isExtensible(timers) ? timers : globalThis) as { [key: symbol]: T | undefined };
  const key = Symbol.for(`tokenkeep.${name}`);
  const found = home[key];
  if (found !== undefined) {
    return found;
  }
  const made = make();
  Object.defineProperty(home, key, { value: made });
  return made;
}
