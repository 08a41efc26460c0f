// Where the key of an encrypted file comes from: what a program says about it, checked, and kept out of print.
import { resolve } from "node:path";
import { inspect } from "node:util";
import { requireText, wrongArgument } from "../arguments";
import type { KeyOptions } from "../face";
import { membersOf } from "../members";
import { promptLimit, promptTimeout } from "../prompting";
import type { EncryptionKey, PassphraseKey, PassphraseVariableKey, PromptOptions } from "../types";
import { type AskForPassphrase, askWithin } from "./ask";

/** A checked key. Printing it, or what holds it, shows where the key is and nothing of it. */
export class CheckedKey {
  readonly #key: EncryptionKey;
  readonly #prompts: PromptOptions;
  /** The absolute path of a key file. */
  readonly #place: string;

  /** @throws PersistenceError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`, without anything secret. */
  constructor(given: EncryptionKey, prompts: PromptOptions = {}) {
    if (given === null || typeof given !== "object") {
      throw wrongArgument("key", "an object that says where the key is", given);
    }
    // Copies: a program that changes its objects, or its directory, later does not change an open cache.
    const key = membersOf(given);
    check(key);
    this.#key = key;
    this.#place = key.type === "keyFile" ? resolve(key.path) : "";
    this.#prompts = membersOf(prompts);
    promptLimit(this.#prompts);
  }

  /** The key, as the addon is told of it. */
  options(): KeyOptions {
    const key = this.#key;
    switch (key.type) {
      case "keystore": {
        const { serviceName: service, accountName: account } = key;
        return { kind: "keystore", service, account, promptLimit: promptLimit(this.#prompts) };
      }
      case "kernelKeyring":
        return { kind: "kernel-keyring", name: key.name };
      case "portal":
        return { kind: "portal", promptLimit: promptLimit(this.#prompts) };
      case "passphrase":
        if ("environmentVariable" in key) {
          return { kind: "passphrase-variable", name: key.environmentVariable };
        }
        return typeof key.passphrase === "string"
          ? { kind: "passphrase", passphrase: key.passphrase }
          : { kind: "ask" };
      case "keyFile":
        return { kind: "key-file", path: this.#place };
      case "environment":
        return { kind: "key-variable", name: key.environmentVariable };
    }
  }

  /** How to ask for the passphrase, where the program has to be asked. */
  asking(): AskForPassphrase | undefined {
    const key = this.#key;
    if (key.type !== "passphrase" || !("passphrase" in key) || typeof key.passphrase === "string") {
      return undefined;
    }
    const { passphrase } = key;
    return () => askWithin(passphrase, promptTimeout(this.#prompts));
  }

  /** Whether the key lies in this item of the keystore. */
  isItem(serviceName: string | undefined, accountName: string | undefined): boolean {
    const key = this.#key;
    return key.type === "keystore" && key.serviceName === serviceName && key.accountName === accountName;
  }

  /** The key's place in words. */
  toString(): string {
    const key = this.#key;
    switch (key.type) {
      case "keystore":
        return `a key in the keystore item ${inspect(`${key.serviceName}/${key.accountName}`)}`;
      case "kernelKeyring":
        return "a key in the kernel keyring";
      case "portal":
        return "the secret of the desktop's portal";
      case "passphrase":
        return "environmentVariable" in key
          ? `the passphrase in the environment variable ${key.environmentVariable}`
          : "a passphrase";
      case "keyFile":
        return `the key file ${inspect(key.path)}`;
      case "environment":
        return `the key in the environment variable ${key.environmentVariable}`;
    }
  }

  toJSON(): string {
    return this.toString();
  }

  /** @internal */
  [inspect.custom](): string {
    return `<${this.toString()}>`;
  }
}

function check(key: EncryptionKey): void {
  switch (key.type) {
    case "keystore":
      requireText("key.serviceName", key.serviceName);
      requireText("key.accountName", key.accountName);
      return;
    case "kernelKeyring":
      if (key.name !== undefined) {
        requireText("key.name", key.name);
      }
      return;
    case "portal":
      return;
    case "passphrase":
      checkPassphrase(key);
      return;
    case "keyFile":
      requireText("key.path", key.path);
      return;
    case "environment":
      requireText("key.environmentVariable", key.environmentVariable);
      return;
    default: {
      const types = '"keystore", "kernelKeyring", "portal", "passphrase", "keyFile" or "environment"';
      throw wrongArgument("key.type", types, (key as { type?: unknown }).type);
    }
  }
}

function checkPassphrase(key: PassphraseKey | PassphraseVariableKey): void {
  const given = "passphrase" in key && key.passphrase !== undefined;
  const named = "environmentVariable" in key && key.environmentVariable !== undefined;
  if (given === named) {
    throw wrongArgument("key", "either a passphrase or the environmentVariable that holds it", key);
  }
  if ("environmentVariable" in key && named) {
    requireText("key.environmentVariable", key.environmentVariable);
    return;
  }
  const { passphrase } = key as PassphraseKey;
  // Not `requireText`, which shows what it refuses.
  if (typeof passphrase === "function" || (typeof passphrase === "string" && passphrase !== "")) {
    return;
  }
  throw wrongArgument(
    "key.passphrase",
    "a string that is not empty, or a function that gives one",
    passphrase,
  );
}
