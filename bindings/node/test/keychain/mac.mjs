// @ts-check
/** Loaded before a program: it then runs as on a Mac, over the stand-in Keychain of its addon. */
Object.defineProperty(process, "platform", { value: "darwin" });
