// Objects that `using` and `await using` can end. A program whose compiler does not know the symbols yet sees the types
// without them.

/** Ends with the block of a `using` declaration. */
export type Disposing = {
  [key in SymbolConstructor extends { readonly dispose: infer S extends symbol } ? S : never]: () => void;
};

/** Ends with the block of an `await using` declaration. */
export type AsyncDisposing = {
  [key in SymbolConstructor extends { readonly asyncDispose: infer S extends symbol }
    ? S
    : never]: () => Promise<void>;
};

// Node.js 20.0 to 20.3 have no such symbols, and no `using` either.
export const DISPOSE: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("tokenkeep.dispose");
export const ASYNC_DISPOSE: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? Symbol.for("tokenkeep.asyncDispose");
