// Keys in an environment variable.

import { StoreError } from "../store-error";
import { type KeyRing, keysIn, ringOf } from "./ring";

export function fromEnvironment(name: string): KeyRing {
  const text = process.env[name];
  if (text === undefined) {
    throw new StoreError(
      "missing_key",
      `The environment variable ${name} is not set. Set it to a key: openssl rand -base64 32 makes one`,
    );
  }
  const source = `the environment variable ${name}`;
  return ringOf(keysIn(text, source), source);
}
