// The network client that `ConfidentialClients` gives to msal-node: it asks for the lease before a redemption, and keeps the
// metadata of an authority for all clients of the process.
import { programTime } from "../clock";
import type { Lease } from "./lease";

/** The part of msal-node's network client that is used here. */
export interface NetworkClientLike {
  sendGetRequestAsync(url: string, options?: object, timeout?: number): Promise<unknown>;
  sendPostRequestAsync(url: string, options?: object): Promise<unknown>;
}

/** Grants that redeem what other servers may be redeeming at the same moment. */
const LEASED: ReadonlySet<string> = new Set([
  "refresh_token",
  "client_credentials",
  "urn:ietf:params:oauth:grant-type:jwt-bearer",
]);

/** How long the metadata of an authority is kept, in milliseconds, as msal-node keeps it within one client. */
const METADATA = 24 * 3_600_000;

/** What the store learns from the requests of one call. */
export interface Attempt {
  readonly lease: Lease | undefined;
  /** The revision that the call has read. */
  read(): Uint8Array | null;
  /** Another server has stored a result: the call starts over. */
  startOver: boolean;
  /** The refresh token that was redeemed. */
  redeemed: string | undefined;
}

/** Thrown into msal-node to end a call that starts over. */
class StartOver extends Error {}

/** Metadata by address, for all clients. */
export class Metadata {
  private readonly answers = new Map<string, { at: number; answer: Promise<unknown> }>();

  get(url: string, fetch: () => Promise<unknown>): Promise<unknown> {
    const known = this.answers.get(url);
    if (known !== undefined && programTime() - known.at < METADATA) {
      return known.answer;
    }
    const answer = fetch();
    this.answers.set(url, { at: programTime(), answer });
    answer.then(
      (found) => (found as { status?: number }).status === 200 || this.answers.delete(url),
      () => this.answers.delete(url),
    );
    return answer;
  }
}

export function leasedNetwork(
  network: NetworkClientLike,
  metadata: Metadata,
  attempt: Attempt,
  mode: "scopes" | "partition",
): NetworkClientLike {
  return {
    sendGetRequestAsync: (url, options, timeout) =>
      /\/\.well-known\/|\/discovery\/instance\?/.test(url)
        ? metadata.get(url, () => network.sendGetRequestAsync(url, options, timeout))
        : network.sendGetRequestAsync(url, options, timeout),
    sendPostRequestAsync: async (url, options) => {
      const form = new URLSearchParams((options as { body?: string } | undefined)?.body ?? "");
      const grant = form.get("grant_type") ?? "";
      if (LEASED.has(grant) && attempt.lease !== undefined) {
        attempt.redeemed = form.get("refresh_token") ?? undefined;
        const words = mode === "partition" ? [grant] : [grant, form.get("scope"), form.get("claims")];
        if ((await attempt.lease.take(words.join("\n"), attempt.read())) === "again") {
          attempt.startOver = true;
          throw new StartOver("another server has redeemed");
        }
      }
      return network.sendPostRequestAsync(url, options);
    },
  };
}
