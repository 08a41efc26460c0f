// Long texts on their way to Rust, in pieces. Node-API would count the bytes of a text twice before it copies them, which for
// a megabyte takes six times as long as the copying, and all of it on this thread.
import type { NativeChannel } from "./addon";

/** Shorter texts are counted faster than they are handed over. */
const LONG = 16 * 1024;

/** Fits into a processor's cache, and is all the memory that this keeps. */
const PIECE = 64 * 1024;

// V8 knows of each string whether its characters take one byte or two. It compiles such an expression for one-byte strings into
// one that never matches: half a microsecond, whatever the length.
const WIDE = /[\u0100-\uffff]/;

let piece: Buffer | undefined;

/** Hands `text` over to what is called next on the channel; `null`, or the text itself where it has to go along. */
export function handOver(channel: NativeChannel, text: string): string | null {
  if (text.length < LONG || channel.hand === undefined || WIDE.test(text)) {
    return text;
  }
  piece ??= Buffer.allocUnsafeSlow(PIECE);
  for (let at = 0; at < text.length; at += PIECE) {
    const count = piece.write(text.slice(at, at + PIECE), "latin1");
    channel.hand(at, text.length, piece, count);
  }
  // As much of the text as we can wipe.
  piece.fill(0);
  return null;
}
