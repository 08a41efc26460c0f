// Whether, and for how long, a person may be asked for something.
import { wrongArgument } from "./arguments";
import type { PromptOptions } from "./types";

/** The time that a person needs to notice a prompt, find the password and type it. */
export const FOR_A_PERSON = 120_000;
/** More than anybody waits, and what a timer can count. */
const LONGEST = 2 ** 31 - 1;

/** How long a person may take to answer, in milliseconds. */
export function promptTimeout(options: PromptOptions | undefined): number {
  const limit = options?.promptTimeout ?? FOR_A_PERSON;
  if (typeof limit !== "number" || !(limit > 0)) {
    throw wrongArgument("promptTimeout", "a positive number of milliseconds", limit);
  }
  return Math.min(Math.ceil(limit), LONGEST);
}

/** How long a keystore's prompt may stand, in milliseconds; 0 where there may be none. */
export function promptLimit(options: PromptOptions | undefined): number {
  const limit = options?.promptTimeout === undefined ? FOR_A_PERSON : promptTimeout(options);
  switch (options?.allowPrompt ?? "auto") {
    case true:
      return limit;
    case false:
      return 0;
    case "auto": {
      const { DISPLAY, WAYLAND_DISPLAY, SSH_CONNECTION } = process.env;
      const desktop = process.platform === "darwin" ? !SSH_CONNECTION : DISPLAY || WAYLAND_DISPLAY;
      return desktop ? limit : 0;
    }
    default:
      throw wrongArgument("allowPrompt", '"auto", true or false', options?.allowPrompt);
  }
}
