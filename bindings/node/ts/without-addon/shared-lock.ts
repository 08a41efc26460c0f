// The lock beside a path, for persistences that this package knows nothing of.
import type { NativeLock } from "../native/addon";
import type { Channel } from "./channel";
import { lock } from "./lock";

export class SharedLock implements NativeLock {
  constructor(
    private readonly channel: Channel,
    private readonly path: string,
  ) {}

  acquire(call: number, limit: number): void {
    this.channel.answer(call, async () => this.channel.hold(await lock(this.path, limit), undefined));
  }

  pin(hold: number): boolean {
    return this.channel.pin(hold) !== undefined;
  }

  release(call: number, hold: number): void {
    this.channel.answer(call, async () => this.channel.release(hold));
  }
}
