// Sign-outs that were not carried out. While one access of a client changes its memory, another may clear that memory and
// fill it again, as msal-node's silent requests do. An account that is missing then may have been removed, or may only
// not be back yet: it is kept, since a lost sign-in costs more than a sign-out that has to be repeated.

/** How many accounts the client had (`base`) and has no longer (`ours`), which are stored all the same. */
export function accountsKept(base: string | undefined, ours: string, stored: string | null): number {
  const [now, there] = [accountsOf(ours), accountsOf(stored)];
  return [...accountsOf(base)].filter((key) => !now.has(key) && there.has(key)).length;
}

/** The message for the user about them. */
export function keptMessage(accounts: number, path: string): string {
  const which =
    accounts === 1
      ? "An account that a client no longer lists was"
      : `${accounts} accounts that a client no longer lists were`;
  return (
    `${which} kept in ${path}, because another access of the same client came in between, so that nobody can tell ` +
    "whether it was removed. If somebody was to be signed out, sign them out again"
  );
}

/** The keys of a cache's accounts; none of what is no token cache. */
function accountsOf(text: string | null | undefined): Set<string> {
  try {
    const { Account } = JSON.parse(text || "{}") as { Account?: object };
    return new Set(Object.keys(Account ?? {}));
  } catch {
    return new Set();
  }
}
