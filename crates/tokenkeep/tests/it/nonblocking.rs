//! The futures: they wake their waiters, need no runtime, and dropping one cancels it.
//!
//! The executor here is the smallest possible; `tokenkeep-azure` tests the futures under tokio.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokenkeep::{
    ErrorKind, Secret,
    options::{Cancel, WaitOptions},
};

use crate::support::{Place, eventually, open, read, scale, write};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let began = Instant::now();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(Duration::from_secs(10)),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nobody woke the future");
    }
}

/// Polls once, with a waker that does nothing.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_nonblocking_calls_do_what_the_blocking_calls_do() {
    let place = Place::new();
    let cache = place.open().nonblocking();
    block_on(async {
        assert_eq!(cache.read().await.unwrap(), None);
        let access = cache.begin_write().await.unwrap();
        assert_eq!(access.content(), None);
        access.commit(b"one".to_vec()).await.unwrap();
        cache.update(|old| [old.unwrap(), b" two"].concat()).await.unwrap();
        assert_eq!(cache.snapshot().await.unwrap().content.unwrap().expose(), b"one two");
        assert_eq!(
            cache.run(|cache| Ok(cache.info().location)).await.unwrap(),
            place.cache().to_string_lossy()
        );
        assert!(cache.clear().await.unwrap());
        assert!(!cache.begin_write().await.unwrap().delete().await.unwrap());
    });
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let place = Place::new();
    let cache = place.open();
    drop(cache.nonblocking().update(|_| "never"));
    let access = block_on(cache.nonblocking().begin_write()).unwrap();
    drop(access.commit(b"never".to_vec()));
    // The lock becomes free although the future was never awaited.
    write(&cache, "now");
    assert_eq!(read(&cache).unwrap(), "now");
}

#[test]
fn dropping_a_waiting_future_removes_it_from_the_queue() {
    let place = Place::new();
    let cache = place.open();
    let held = cache.begin_write().unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    {
        let mut waiting = pin!(cache.nonblocking().begin_write());
        let seen = Arc::clone(&ran);
        let mut updating = pin!(cache.nonblocking().update(move |_| {
            seen.store(true, Ordering::SeqCst);
            "never"
        }));
        assert!(poll_once(waiting.as_mut()).is_pending() && poll_once(updating.as_mut()).is_pending());
        thread::sleep(Duration::from_millis(20));
    }
    held.commit("held").unwrap();
    // If the dropped future were still in the queue, it would get the lock first.
    write(&cache, "after");
    assert_eq!(read(&cache).unwrap(), "after");
    assert!(!ran.load(Ordering::SeqCst), "the update was cancelled before it began");
}

#[test]
fn a_lock_acquired_for_a_dropped_future_is_free_at_once() {
    let place = Place::new();
    let cache = place.open();
    for _ in 0..20 * scale() {
        let mut waiting = Box::pin(cache.nonblocking().begin_write());
        assert!(poll_once(waiting.as_mut()).is_pending());
        // Sometimes before the lock is acquired and sometimes after.
        thread::sleep(Duration::from_micros(u64::from(rand() % 400)));
        drop(waiting);
    }
    let wait = WaitOptions::within(Duration::from_secs(10));
    drop(cache.begin_write_waiting(&wait).unwrap());
}

/// Random enough for a pause, and for nothing else.
fn rand() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos() / 100
}

#[test]
fn a_write_access_dropped_by_a_future_releases_the_lock() {
    let place = Place::new();
    let cache = place.open();
    drop(block_on(cache.nonblocking().begin_write()).unwrap());
    eventually("the lock is released", || !place.lockfile().exists());
}

#[test]
fn a_cache_lock_is_waited_for_and_released_by_another_thread() {
    let place = Place::new();
    let lock = tokenkeep::CacheLock::new(place.cache()).unwrap();
    let wait = WaitOptions::default();
    let first = block_on(lock.acquire_nonblocking(&wait)).unwrap();
    {
        let mut dropped = pin!(lock.acquire_nonblocking(&wait));
        assert!(poll_once(dropped.as_mut()).is_pending());
    }
    drop(first);
    drop(block_on(lock.acquire_nonblocking(&wait)).unwrap());
    eventually("the lock is released", || !place.lockfile().exists());
}

#[test]
fn the_cancel_of_the_caller_works_and_a_dropped_future_does_not_trigger_it() {
    let place = Place::new();
    let cache = place.open();
    let held = cache.begin_write().unwrap();
    let cancel = Cancel::new();
    let wait = WaitOptions { cancel: Some(cancel.clone()), ..WaitOptions::default() };
    {
        let mut dropped = pin!(cache.nonblocking().begin_write_waiting(&wait));
        assert!(poll_once(dropped.as_mut()).is_pending());
    }
    assert!(!cancel.is_cancelled());
    let thrower = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        cancel.cancel();
    });
    let error = block_on(cache.nonblocking().begin_write_waiting(&wait)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    thrower.join().unwrap();
    drop(held);
}

#[test]
fn many_waiting_writers_all_get_the_lock() {
    let place = Place::in_memory();
    let cache = open(&place.cache());
    let writers: Vec<_> = (0..60)
        .map(|number: u32| {
            let cache = cache.nonblocking();
            async move {
                let access = cache.begin_write().await.unwrap();
                let line = format!("{number}\n");
                let next = [access.content().unwrap_or_default(), line.as_bytes()].concat();
                access.commit(next).await.unwrap();
            }
        })
        .map(Box::pin)
        .collect();
    // All of them wait before the first gets the lock.
    let held = cache.begin_write().unwrap();
    let mut writers = writers;
    for writer in &mut writers {
        assert!(poll_once(writer.as_mut()).is_pending());
    }
    drop(held);
    let running: Vec<_> = writers.into_iter().map(|writer| thread::spawn(|| block_on(writer))).collect();
    for writer in running {
        writer.join().unwrap();
    }
    let stored = read(&cache).unwrap();
    let mut lines: Vec<u32> = stored.lines().map(|line| line.parse().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..60).collect::<Vec<_>>());
}

#[test]
fn a_panic_continues_in_the_awaiting_task_and_the_next_operation_works() {
    let place = Place::new();
    let cache = place.open().nonblocking();
    let panicking = cache.update(|_| -> Secret { panic!("a mistake of the program") });
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(panicking))).is_err());
    block_on(cache.update(|_| "fine")).unwrap();
}

#[test]
fn the_futures_can_be_sent_between_threads() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    let place = Place::new();
    let cache = place.open().nonblocking();
    let future = sent(async move {
        let access = cache.begin_write().await?;
        access.commit(b"sent".to_vec()).await
    });
    thread::spawn(move || block_on(future)).join().unwrap().unwrap();
}
