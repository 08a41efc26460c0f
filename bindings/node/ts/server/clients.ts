// msal-node for many servers: a client per call with one partition in it, and one redemption across all servers.
import { Access } from "./access";
import { Lease } from "./lease";
import { type Attempt, leasedNetwork, Metadata, type NetworkClientLike } from "./network";
import type { Partition } from "./record";
import type { Stored } from "./records";
import { assertionHash, callerOf, recordsOf, type TokenStore } from "./store";
import { isStoreError, StoreError } from "./store-error";

/** The part of msal-node's `AccountInfo` that is used here. */
export interface AccountLike {
  readonly homeAccountId: string;
}

/** The part of msal-node's `ConfidentialClientApplication` that is used here. */
export interface ConfidentialClientLike {
  /** The address of the sign-in page. */
  getAuthCodeUrl(request: unknown): Promise<string>;
  /** Redeems the code of a sign-in. */
  acquireTokenByCode(request: unknown): Promise<unknown>;
  /** A token of an account, without a person. */
  acquireTokenSilent(request: unknown): Promise<unknown>;
  /** A token for another API, on behalf of a caller. */
  acquireTokenOnBehalfOf(request: unknown): Promise<unknown>;
  /** A token of the application itself. */
  acquireTokenByClientCredential(request: unknown): Promise<unknown>;
  /** The client's memory. */
  getTokenCache(): {
    /** The accounts in it. */
    getAllAccounts(): Promise<unknown[]>;
    /** Signs an account out. */
    removeAccount(account: unknown): Promise<void>;
  };
}

/** The part of msal-node's configuration that is used here. */
export interface ConfigurationLike {
  /** The application and the service. */
  auth: {
    /** The application's id. */
    clientId: string;
    /** The address of the service with the tenant. Default: `https://login.microsoftonline.com/common`. */
    authority?: string;
  };
  /** Replaced for each call. */
  cache?: object;
  /** The network client, which may be the program's own. */
  system?: {
    /** msal-node's `INetworkModule`. Default: Node's `fetch`. */
    networkClient?: unknown;
  };
}

/** The calls of the client that give a token or an address. */
export type ClientCall = Exclude<keyof ConfidentialClientLike, "getTokenCache">;

/** The argument of a method of the client. */
export type Request<Client extends ConfidentialClientLike, Name extends ClientCall> = Parameters<
  Client[Name]
>[0] &
  object;

/** What a method of the client gives. */
export type Answer<Client extends ConfidentialClientLike, Name extends ClientCall> = ReturnType<Client[Name]>;

/** How redemptions are shared between servers. */
export interface ClientsOptions {
  /**
   * `scopes`: one at a time for each set of scopes, for services whose refresh tokens stay valid after use (Microsoft).
   * `partition`: one at a time for each user, for services that use a refresh token up. `false`: none is shared.
   * Default: `scopes`.
   */
  readonly lease?: "scopes" | "partition" | false;
  /** How long a call waits for another server's redemption, in milliseconds. Default: 15 s. */
  readonly patience?: number;
}

/**
 * The calls of msal-node's `ConfidentialClientApplication` for programs on several servers. Each call has a client of its own,
 * with the tokens of one partition in it.
 *
 * ```js
 * const msal = new ConfidentialClients(ConfidentialClientApplication, { auth: { clientId, authority, clientSecret } }, store);
 * const { account } = await msal.signIn({ code, scopes, redirectUri });
 * const { accessToken } = await msal.silent({ homeAccountId: account.homeAccountId, scopes });
 * ```
 */
export class ConfidentialClients<
  Client extends ConfidentialClientLike = ConfidentialClientLike,
  Configuration extends ConfigurationLike = ConfigurationLike,
> {
  private readonly metadata = new Metadata();
  private readonly running = new Map<string, Promise<unknown>>();
  private network: NetworkClientLike | undefined;

  /**
   * @param Client msal-node's `ConfidentialClientApplication`.
   * @param configuration Its configuration; the cache in it is replaced for each call.
   * @param store The store of the tokens.
   */
  constructor(
    private readonly Client: new (configuration: Configuration) => Client,
    private readonly configuration: Configuration,
    private readonly store: TokenStore,
    private readonly options: ClientsOptions = {},
  ) {}

  /** The address to send a person to who signs in. */
  authCodeUrl(request: Request<Client, "getAuthCodeUrl">): Promise<string> {
    return new this.Client(this.configured(undefined, undefined)).getAuthCodeUrl(request);
  }

  /** Redeems the code of a sign-in. Rejects where its tokens could not be stored. */
  signIn(request: Request<Client, "acquireTokenByCode">): Answer<Client, "acquireTokenByCode"> {
    return new this.Client(this.configured(this.store.signIn(), undefined)).acquireTokenByCode(
      request,
    ) as Answer<Client, "acquireTokenByCode">;
  }

  /**
   * A token of a signed-in user, from the store or by redeeming the refresh token.
   *
   * @throws StoreError `no_account` where nothing is stored: the person has to sign in. `unavailable` or `timeout` where
   * the store does not answer, which says nothing about the sign-in.
   */
  silent(request: SilentRequest): Answer<Client, "acquireTokenSilent"> {
    const { homeAccountId, ...rest } = request;
    const records = recordsOf(this.store);
    const place = records.place("user", homeAccountId);
    return this.once(place, "silent", rest, async (client) => {
      const account = await accountIn(client, homeAccountId);
      return client.acquireTokenSilent({ ...rest, account });
    }) as Answer<Client, "acquireTokenSilent">;
  }

  /** A token for another API, on behalf of the caller whose access token is `oboAssertion`. */
  onBehalfOf(request: Request<Client, "acquireTokenOnBehalfOf">): Answer<Client, "acquireTokenOnBehalfOf"> {
    const { oboAssertion } = request as { oboAssertion: string };
    const place = recordsOf(this.store).place("obo", assertionHash(oboAssertion), callerOf(oboAssertion));
    return this.once(place, "obo", request, async (client) => {
      // msal-node looks into its memory alone here; this look fills it.
      await client.getTokenCache().getAllAccounts();
      return client.acquireTokenOnBehalfOf(request);
    }) as Answer<Client, "acquireTokenOnBehalfOf">;
  }

  /** A token of the app itself, in a tenant; without one, in that of the authority. */
  app(request: AppRequest): Answer<Client, "acquireTokenByClientCredential"> {
    const { tenantId, ...rest } = request;
    const { clientId, authority = "https://login.microsoftonline.com/common" } = this.configuration.auth;
    const address = new URL((rest as { authority?: string }).authority ?? authority);
    const tenant =
      tenantId ??
      address.pathname
        .split("/")
        .filter((part) => part !== "")
        .at(-1) ??
      "";
    const target = tenantId === undefined ? {} : { authority: `${address.origin}/${tenantId}` };
    const place = recordsOf(this.store).place("app", clientId, tenant);
    return this.once(place, "app", request, (client) => {
      return client.acquireTokenByClientCredential({ ...rest, ...target });
    }) as Answer<Client, "acquireTokenByClientCredential">;
  }

  /** The accounts that are stored for a user. */
  async accounts(homeAccountId: string): Promise<unknown[]> {
    const client = new this.Client(this.configured(this.store.user(homeAccountId), undefined));
    return client.getTokenCache().getAllAccounts();
  }

  /** Removes everything that is stored for a user. Every server sees it at its next look. */
  async signOut(homeAccountId: string): Promise<void> {
    await this.store.erase(homeAccountId);
  }

  /** Runs a call once for all that ask for the same in this process, and as one among all servers. */
  private once<T>(
    place: Partition,
    verb: string,
    request: object,
    call: (client: Client) => Promise<T>,
  ): Promise<T> {
    const key = `${place.name} ${verb} ${JSON.stringify(request)}`;
    const running = this.running.get(key);
    if (running !== undefined) {
      return running as Promise<T>;
    }
    const begun = this.attempts(place, call).finally(() => this.running.delete(key));
    this.running.set(key, begun);
    return begun;
  }

  private async attempts<T>(place: Partition, call: (client: Client) => Promise<T>): Promise<T> {
    const records = recordsOf(this.store);
    const outage = this.store.outageOf(place.kind);
    const { lease: mode = "scopes", patience = 15_000 } = this.options;
    const lease = mode === false ? undefined : new Lease(records, place, patience);
    let refused = false;
    try {
      for (let number = 1; ; number++) {
        const access = new Access(records, place, { share: true, outage, level1: number === 1 });
        const read = () => access.last?.revision ?? null;
        const attempt: Attempt = { lease, read, startOver: false, redeemed: undefined };
        try {
          return await call(new this.Client(this.configured(access, attempt)));
        } catch (error) {
          if (attempt.startOver) {
            continue;
          }
          const { redeemed } = attempt;
          if (!refused && redeemed !== undefined && isRefusal(error)) {
            refused = true;
            if (await this.isReplaced(place, redeemed)) {
              continue;
            }
          }
          throw error;
        }
      }
    } finally {
      await lease?.end();
    }
  }

  /**
   * After the service has refused a refresh token: whether another is stored by now. Otherwise the refused one is removed, so that
   * it is not redeemed again.
   */
  private async isReplaced(place: Partition, refused: string): Promise<boolean> {
    const records = recordsOf(this.store);
    let stored: Stored;
    try {
      stored = await records.read(place, { level1: false });
    } catch {
      return false;
    }
    const { content } = stored;
    if (content === null) {
      return false;
    }
    const cache = JSON.parse(content) as { RefreshToken?: Record<string, { secret?: string }> };
    const tokens = Object.entries(cache.RefreshToken ?? {});
    const kept = tokens.filter(([, token]) => token.secret !== refused);
    if (kept.length === tokens.length) {
      return tokens.length > 0;
    }
    const ours = JSON.stringify({ ...cache, RefreshToken: Object.fromEntries(kept) });
    try {
      await records.write(place, { held: content, base: content, ours }, stored);
    } catch (error) {
      if (!isStoreError(error)) {
        throw error;
      }
      // The service's refusal is what the program has to know.
    }
    return false;
  }

  private configured(cachePlugin: unknown, attempt: Attempt | undefined): never {
    const { cache, system, ...rest } = this.configuration;
    const network = (system?.networkClient ?? this.ownNetwork()) as NetworkClientLike;
    const mode = this.options.lease === "partition" ? "partition" : "scopes";
    const asked = attempt ?? { lease: undefined, read: () => null, startOver: false, redeemed: undefined };
    return {
      ...rest,
      cache: { ...cache, cachePlugin },
      system: { ...system, networkClient: leasedNetwork(network, this.metadata, asked, mode) },
    } as never;
  }

  /** The network client that msal-node would use. */
  private ownNetwork(): NetworkClientLike {
    this.network ??= networkOf(new this.Client(this.configuration as never));
    return this.network;
  }
}

/** A request for a token of a signed-in user. */
export interface SilentRequest {
  /** The account, as the sign-in returned it. */
  readonly homeAccountId: string;
  /** The scopes of the token. */
  readonly scopes: string[];
  /** Redeems the refresh token although an access token is still valid. Default: false. */
  readonly forceRefresh?: boolean;
  /** Claims to ask for, as JSON. */
  readonly claims?: string;
  readonly [more: string]: unknown;
}

/** A request for a token of the app itself. */
export interface AppRequest {
  /** The scopes of the token, usually one that ends in `/.default`. */
  readonly scopes: string[];
  /** Default: the tenant of the authority. */
  readonly tenantId?: string;
  readonly [more: string]: unknown;
}

async function accountIn(client: ConfidentialClientLike, homeAccountId: string): Promise<unknown> {
  const accounts = (await client.getTokenCache().getAllAccounts()) as AccountLike[];
  const id = homeAccountId.toLowerCase();
  const account = accounts.find((one) => one.homeAccountId.toLowerCase() === id);
  if (account === undefined) {
    throw new StoreError("no_account", "Nothing is stored for this user: the person has to sign in", {
      partitionKind: "user",
    });
  }
  return account;
}

/** Whether the service refused the refresh token for good. */
function isRefusal(error: unknown): boolean {
  const { errorCode, subError } = error as { errorCode?: unknown; subError?: unknown };
  return errorCode === "invalid_grant" || subError === "bad_token" || subError === "client_mismatch";
}

/** The network client that a client of msal-node made for itself. */
function networkOf(client: ConfidentialClientLike): NetworkClientLike {
  const { config } = client as unknown as { config?: { system?: { networkClient?: NetworkClientLike } } };
  const network = config?.system?.networkClient;
  if (network === undefined) {
    throw new StoreError(
      "invalid_input",
      "This client shows no network client. Give one in the configuration: system.networkClient",
    );
  }
  return network;
}
