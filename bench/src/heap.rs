//! Measures the peak memory of a merge. `tokenkeep-bench-heap BYTES` merges three caches of about `BYTES` bytes and
//! prints JSON: the bytes of the three texts, and the peak heap in use during the merge, the texts included.
#![expect(clippy::print_stdout, reason = "printing the result is what it is for")]

use std::error::Error;

use peak_alloc::PeakAlloc;
use tokenkeep::schema::{self, Change};
use tokenkeep_bench::cache;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = std::env::args().nth(1).ok_or("usage: tokenkeep-bench-heap BYTES")?.parse()?;
    let (base, ours, theirs) = (cache(bytes, "a"), cache(bytes, "b"), cache(bytes + 3_000, "a"));
    let texts = base.len() + ours.len() + theirs.len();
    // The heap in use apart from the texts, to be subtracted.
    let before = HEAP.current_usage().saturating_sub(texts);
    HEAP.reset_peak_usage();
    let change = Change { held: Some(&base), base: Some(&base), ours: &ours, disturbed: false };
    let merged = schema::merge(&change, Some(&theirs))?;
    let peak = HEAP.peak_usage() - before;
    drop(merged);
    println!("{}", serde_json::json!({ "texts": texts, "peak": peak }));
    Ok(())
}
