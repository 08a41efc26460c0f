//! The channel to one JavaScript thread as the threads of the addon see it.
//!
//! A threadsafe function carries every answer, under the number of the call that it answers. It keeps the event loop alive
//! while answers are due, and only then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use napi::bindgen_prelude::{Env, FnArgs, Function, JsValue, Null, ToNapiValue, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use tokenkeep::nonblocking;
use tokenkeep::options::{Cancel, WaitOptions};

use crate::failure::Failure;
use crate::guard::{Place, guard, quietly};
use crate::holds::Holds;
use crate::reply::Reply;

/// Arguments of the JavaScript function: the call's number, its failure or null, its result.
pub(crate) type Arguments = FnArgs<(u32, Unknown<'static>, Unknown<'static>)>;
type Dispatch = ThreadsafeFunction<Message, (), Arguments, napi::Status, false, true>;

struct Message {
    /// 0 for what answers no call.
    call: u32,
    result: Result<Reply, Failure>,
}

/// The way back to one JavaScript thread.
pub(crate) struct Link {
    dispatch: Mutex<Dispatch>,
    /// Answers that JavaScript still waits for. Changed on its thread alone.
    due: AtomicUsize,
    open: Mutex<Open>,
    answered: Condvar,
    holds: Arc<Holds>,
    cancel: Cancel,
}

/// Calls that are not answered yet.
#[derive(Default)]
struct Open {
    count: usize,
    /// Whether [`Link::close`] waits until there are none. Otherwise an answer saves the system call that would wake it.
    closing: bool,
}

impl Link {
    pub(crate) fn open(env: Env, dispatch: &Function<'_, Arguments, ()>) -> napi::Result<Arc<Self>> {
        // Leaked once per JavaScript thread (8 bytes): values handed to the threadsafe function borrow from it.
        let forever: &'static Env = Box::leak(Box::new(env));
        let this = Arc::new(OnceLock::<Weak<Self>>::new());
        let own = Arc::clone(&this);
        let dispatch = dispatch.build_threadsafe_function::<Message>().weak::<true>().build_callback(
            move |context| {
                let Message { call, result } = context.value;
                if call != 0
                    && let Some(link) = own.get().and_then(Weak::upgrade)
                {
                    link.settled(forever);
                }
                compose(forever, call, result)
            },
        )?;
        let link = Arc::new(Self {
            dispatch: Mutex::new(dispatch),
            due: AtomicUsize::new(0),
            open: Mutex::default(),
            answered: Condvar::new(),
            holds: Arc::default(),
            cancel: Cancel::new(),
        });
        let _ = this.set(Arc::downgrade(&link));
        // A worker that is terminated runs no exit listener.
        env.add_env_cleanup_hook(Arc::clone(&link), |link| {
            quietly(Place::Close, || link.close(Duration::ZERO));
        })?;
        Ok(link)
    }

    /// Announces an answer to the call with this number. On JavaScript's thread only.
    #[allow(deprecated)] // `refer` has no successor for a function that is weak at some times only.
    pub(crate) fn call(self: &Arc<Self>, env: &Env, number: u32) -> napi::Result<Call> {
        if self.due.fetch_add(1, Ordering::Relaxed) == 0 {
            lock(&self.dispatch).refer(env)?;
        }
        lock(&self.open).count += 1;
        Ok(Call { link: Arc::clone(self), number, answered: false })
    }

    #[allow(deprecated)]
    fn settled(&self, env: &Env) {
        if self.due.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Fails only while the environment goes down, which then nothing keeps alive anyway.
            let _ = lock(&self.dispatch).unref(env);
        }
    }

    /// Sends something that answers no call.
    pub(crate) fn tell(&self, event: Reply) {
        self.send(Message { call: 0, result: Ok(event) });
    }

    fn send(&self, message: Message) {
        // A thread that has ended needs no answer.
        let _ = lock(&self.dispatch).call(message, ThreadsafeFunctionCallMode::NonBlocking);
    }

    pub(crate) fn holds(&self) -> &Arc<Holds> {
        &self.holds
    }

    /// A wait of at most `limit` milliseconds, which ends with the JavaScript thread.
    pub(crate) fn wait(&self, limit: u32) -> WaitOptions {
        WaitOptions { limit: Duration::from_millis(limit.into()), cancel: Some(self.cancel.clone()) }
    }

    pub(crate) fn close(&self, patience: Duration) {
        self.cancel.cancel();
        self.holds.close();
        let mut open = lock(&self.open);
        open.closing = true;
        drop(self.answered.wait_timeout_while(open, patience, |open| open.count > 0));
    }
}

/// A call of JavaScript's that has no answer yet. Dropped without one, it answers that there was no thread: a promise must
/// not stay open for ever.
pub(crate) struct Call {
    link: Arc<Link>,
    number: u32,
    answered: bool,
}

type Work = Box<dyn FnOnce(&Arc<Link>) -> Result<Reply, Failure> + Send>;

impl Call {
    /// Answers with the result of `work`, on a thread of the pool.
    pub(crate) fn work(self, work: impl FnOnce(&Arc<Link>) -> Result<Reply, Failure> + Send + 'static) {
        // Not generic from here on: the code would be there once for each kind of work.
        self.start(Box::new(work));
    }

    fn start(self, work: Work) {
        // Without a thread the call is dropped, which answers it.
        nonblocking::run(move || {
            self.finish(work);
            Ok(())
        })
        .then(|_| {});
    }

    /// Answers with the result of `work`, on this thread.
    pub(crate) fn finish(mut self, work: impl FnOnce(&Arc<Link>) -> Result<Reply, Failure>) {
        let result = guard(Place::Work, || work(&self.link));
        self.send(result);
    }

    fn send(&mut self, result: Result<Reply, Failure>) {
        self.answered = true;
        self.link.send(Message { call: self.number, result });
        let mut open = lock(&self.link.open);
        open.count -= 1;
        if open.closing {
            self.link.answered.notify_all();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.answered {
            self.send(Err(Failure::unanswered()));
        }
    }
}

fn compose(env: &'static Env, call: u32, result: Result<Reply, Failure>) -> napi::Result<Arguments> {
    let value = guard(Place::Answer, || Ok(result?.to_js(env)?));
    let (failure, value) = match value {
        Ok(value) => (Null.into_unknown(env)?, value),
        Err(failure) => (failure.to_object(env)?.to_unknown(), ().into_unknown(env)?),
    };
    Ok((call, failure, value).into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
