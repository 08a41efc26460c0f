//! Measures parts of the core alone: the lock, the atomic file, the schema beside plain `serde_json`, the sealed
//! file.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a benchmark that fails should stop"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokenkeep::key_source::KeyFile;
use tokenkeep::schema::{self, Change};
use tokenkeep::{
    CacheLock, Protector, TokenCache,
    options::{Durability, WaitOptions},
    storage::{FilePersistence, Plain, Sealed},
};
use tokenkeep_bench::cache;

const SIZES: [usize; 4] = [4 << 10, 100 << 10, 1 << 20, 5 << 20];

fn lock(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let lock = CacheLock::new(folder.path().join("cache")).unwrap();
    criterion.bench_function("lock/acquire and release", |bencher| {
        bencher.iter(|| lock.acquire(&WaitOptions::default()).unwrap());
    });
}

/// The same writes one after another and by as many threads: what waiting in line costs.
fn crowd(criterion: &mut Criterion) {
    const WRITES: u32 = 200;
    let folder = tempfile::tempdir().unwrap();
    let file = FilePersistence::new(folder.path().join("cache")).unwrap().durability(Durability::Cached);
    let store = TokenCache::new(file);
    let content = cache(SIZES[0], "a");
    let write = || drop(store.begin_write().unwrap().commit(content.as_slice()).unwrap());
    criterion.bench_function("200 writes/in a row", |bencher| {
        bencher.iter(|| (0..WRITES).for_each(|_| write()));
    });
    criterion.bench_function("200 writes/at once", |bencher| {
        bencher.iter(|| {
            std::thread::scope(|scope| (0..WRITES).for_each(|_| drop(scope.spawn(write))));
        });
    });
}

fn write(criterion: &mut Criterion) {
    for (name, durability) in [("synced", Durability::Synced), ("cached", Durability::Cached)] {
        let mut group = criterion.benchmark_group(format!("write/{name}"));
        for bytes in SIZES {
            let folder = tempfile::tempdir().unwrap();
            let file = FilePersistence::new(folder.path().join("cache")).unwrap().durability(durability);
            let store = TokenCache::new(file);
            let content = cache(bytes, "a");
            group.throughput(Throughput::Bytes(content.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
                bencher.iter(|| store.begin_write().unwrap().commit(content.as_slice()).unwrap());
            });
        }
        group.finish();
    }
}

fn read(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let store = TokenCache::new(FilePersistence::new(folder.path().join("cache")).unwrap());
    let seen = store.update(|_| cache(SIZES[0], "a")).unwrap().generation;
    criterion.bench_function("read/unchanged", |bencher| {
        bencher.iter(|| assert!(store.is_current(black_box(seen))));
    });
}

fn schema(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schema");
    for bytes in SIZES {
        let (base, ours, theirs) = (cache(bytes, "a"), cache(bytes, "b"), cache(bytes + 3_000, "a"));
        group.throughput(Throughput::Bytes(base.len() as u64));
        group.bench_function(BenchmarkId::new("serde_json::Value", bytes), |bencher| {
            bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&base)).unwrap());
        });
        group.bench_function(BenchmarkId::new("is_whole", bytes), |bencher| {
            bencher.iter(|| schema::is_whole(black_box(&base)));
        });
        // The bytes of all three input texts: the goal for parse and merge counts them so.
        group.throughput(Throughput::Bytes((base.len() + ours.len() + theirs.len()) as u64));
        group.bench_function(BenchmarkId::new("merge", bytes), |bencher| {
            bencher.iter(|| {
                let change =
                    Change { held: Some(&base), base: Some(&base), ours: black_box(&ours), disturbed: false };
                schema::merge(&change, Some(&theirs)).unwrap()
            });
        });
    }
    group.finish();
}

fn protectors(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    let sealed = Sealed::new(KeyFile::at(&key), "bench");
    let mut group = criterion.benchmark_group("protector");
    for bytes in SIZES {
        let content = cache(bytes, "a");
        group.throughput(Throughput::Bytes(content.len() as u64));
        for (name, protector) in [("plain", &Plain as &dyn Protector), ("sealed", &sealed)] {
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter(|| {
                    let bytes = protector.protect(black_box(&content), None).unwrap();
                    protector.unprotect(bytes.into_owned().into()).unwrap()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(core, lock, crowd, write, read, schema, protectors);
criterion_main!(core);
