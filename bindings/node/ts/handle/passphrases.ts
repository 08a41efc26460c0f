// Passphrases that a program has to be asked for, between an operation that failed for want of one and its second start.
import type { AskForPassphrase } from "./ask";
import { isKind } from "./errors";

/** One passphrase of one cache: who to ask, and where the answer goes for as long as an operation uses it. */
export class Asker {
  private answer: Promise<string> | undefined;
  private users = 0;

  /**
   * @param key The number of its key.
   * @param ask Asks the program.
   * @param wanted Whether anything ever needed the passphrase.
   * @param supply Makes it known to Rust, or unknown again; `null`: the program cannot give it.
   */
  constructor(
    readonly key: number,
    private readonly ask: AskForPassphrase,
    readonly wanted: () => boolean,
    private readonly supply: (passphrase?: string | null) => void,
  ) {}

  /**
   * Runs `work` while Rust knows the passphrase. All that want it at the same time ask once. Where the program fails to give
   * it, `without` is told, and `work` runs without; where there is no `without`, that is the failure.
   */
  async supplied<T>(work: () => Promise<T>, without?: (error: unknown) => void): Promise<T> {
    this.answer ??= this.ask().finally(() => {
      this.answer = undefined;
    });
    let passphrase: string | null;
    try {
      passphrase = await this.answer;
    } catch (error) {
      if (without === undefined) {
        throw error;
      }
      without(error);
      passphrase = null;
    }
    this.users += 1;
    this.supply(passphrase);
    try {
      return await work();
    } finally {
      this.users -= 1;
      if (this.users === 0) {
        this.supply();
      }
    }
  }
}

/**
 * Runs an operation, and again for each passphrase that it turns out to want: an operation that failed holds no lock
 * while a person is asked. With `without`, it goes on without passphrases that the program fails to give.
 */
export async function withPassphrases<T>(
  askers: readonly Asker[],
  run: () => Promise<T>,
  without?: (key: number, error: unknown) => void,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const asker = isKind(error, "passphrase_wanted") ? askers.find(({ wanted }) => wanted()) : undefined;
    if (asker === undefined) {
      throw error;
    }
    // Without this one: who is asked again and again learns nothing.
    const others = askers.filter((other) => other !== asker);
    return asker.supplied(
      () => withPassphrases(others, run, without),
      without && ((failure) => without(asker.key, failure)),
    );
  }
}
