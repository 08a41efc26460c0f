//! The futures of the core do not block tokio's threads.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::support::Place;

#[tokio::test(flavor = "current_thread")]
async fn the_only_thread_of_the_executor_goes_on_while_the_lock_is_waited_for() {
    let place = Place::new();
    let cache = place.open().nonblocking();
    let held = cache.begin_write().await.unwrap();
    let waiting = tokio::spawn({
        let cache = place.open().nonblocking();
        async move { cache.update(|old| [old.unwrap(), b" second"].concat()).await }
    });
    // If the waiting task blocked the thread, this timer would never fire and the lock would never be released.
    timeout(Duration::from_secs(10), sleep(Duration::from_millis(30))).await.unwrap();
    assert!(!waiting.is_finished());
    held.commit(b"first".to_vec()).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(cache.read().await.unwrap().unwrap().expose(), b"first second");
}

#[tokio::test(flavor = "current_thread")]
async fn a_time_limit_of_tokio_ends_a_wait_and_leaves_the_queue() {
    let place = Place::new();
    let cache = place.open().nonblocking();
    let held = cache.begin_write().await.unwrap();
    assert!(timeout(Duration::from_millis(30), cache.begin_write()).await.is_err());
    assert!(timeout(Duration::from_millis(30), cache.update(|_| "never")).await.is_err());
    held.commit(b"held".to_vec()).await.unwrap();
    cache.update(|old| old.unwrap().to_ascii_uppercase()).await.unwrap();
    assert_eq!(cache.read().await.unwrap().unwrap().expose(), b"HELD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_task_leaves_the_lock_free() {
    let place = Place::new();
    for _ in 0..30 {
        let cache = place.open().nonblocking();
        let task = tokio::spawn(async move {
            let write = cache.begin_write().await.unwrap();
            sleep(Duration::from_secs(60)).await;
            write.commit(b"never".to_vec()).await.unwrap();
        });
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let written = timeout(Duration::from_secs(10), place.open().nonblocking().update(|_| "free"));
    written.await.expect("the lock is free").unwrap();
}
