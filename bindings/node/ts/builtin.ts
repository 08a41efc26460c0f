// Node's own modules that most programs never come to need, loaded at their first use.

interface Builtins {
  "node:async_hooks": typeof import("node:async_hooks");
  "node:crypto": typeof import("node:crypto");
  "node:module": typeof import("node:module");
  "node:os": typeof import("node:os");
  "node:process": typeof import("node:process");
  "node:timers": typeof import("node:timers");
}

/** One of Node's own modules. */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  // Not a literal `require`: a bundler that writes an ES module would hoist it, or leave one that fails there.
  return (process.getBuiltinModule ?? require)(name) as Builtins[Name];
}
