//! The way back to one JavaScript thread.
//!
//! Each thread opens one [`Channel`]: a threadsafe function over which every answer goes, under the number of the call
//! it answers. It keeps the event loop alive while answers are due, and only then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use napi::bindgen_prelude::{Env, FnArgs, Function, JsValue, Null, ToNapiValue, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use tokenkeep::options::Cancel;

use crate::failure::{Failure, Thrown};
use crate::guard::{Place, guard, quietly};
use crate::holds::Holds;
use crate::pool;
use crate::reply::Reply;

/// Arguments of the JavaScript function: the call's number, its failure or null, its result.
type Arguments = FnArgs<(u32, Unknown<'static>, Unknown<'static>)>;
type Dispatch = ThreadsafeFunction<Message, (), Arguments, napi::Status, false, true>;

struct Message {
    /// 0 for what answers no call.
    call: u32,
    result: Result<Reply, Failure>,
}

/// One JavaScript thread's channel.
#[napi]
#[allow(missing_debug_implementations)] // Only JavaScript has one in hand.
pub struct Channel {
    link: Arc<Link>,
}

#[napi]
impl Channel {
    /// Opens the channel; `dispatch` is called with every answer.
    #[napi(constructor)]
    pub fn new(env: Env, dispatch: Function<'_, Arguments, ()>) -> Result<Self, Thrown> {
        let link =
            guard(Place::Export, || Ok(Link::open(env, &dispatch)?)).map_err(Failure::into_exception)?;
        Ok(Self { link })
    }

    /// Gives up everything that waits, releases every lock, and waits at most so long for work under way.
    #[napi]
    pub fn close(&self, milliseconds: u32) {
        quietly(Place::Close, || self.link.close(Duration::from_millis(milliseconds.into())));
    }
}

impl Channel {
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

/// The channel as threads see it.
pub(crate) struct Link {
    dispatch: Mutex<Dispatch>,
    /// Answers that JavaScript still waits for. Changed on its thread alone.
    due: AtomicUsize,
    open: Mutex<Open>,
    answered: Condvar,
    holds: Holds,
    cancel: Cancel,
}

/// Tickets that are not answered yet.
#[derive(Default)]
struct Open {
    count: usize,
    /// Whether somebody waits until there are none: else nobody is woken by an answer, which costs a system call.
    closing: bool,
}

impl Link {
    fn open(env: Env, dispatch: &Function<'_, Arguments, ()>) -> napi::Result<Arc<Self>> {
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
            holds: Holds::default(),
            cancel: Cancel::new(),
        });
        let _ = this.set(Arc::downgrade(&link));
        // A worker that is terminated runs no exit listener.
        env.add_env_cleanup_hook(Arc::clone(&link), |link| {
            quietly(Place::Close, || link.close(Duration::ZERO));
        })?;
        Ok(link)
    }

    /// Announces an answer under `call`. On JavaScript's thread only.
    #[allow(deprecated)] // `refer` has no successor for a function that is weak at some times only.
    pub(crate) fn ticket(self: &Arc<Self>, env: &Env, call: u32) -> napi::Result<Ticket> {
        if self.due.fetch_add(1, Ordering::Relaxed) == 0 {
            lock(&self.dispatch).refer(env)?;
        }
        lock(&self.open).count += 1;
        Ok(Ticket { link: Arc::clone(self), call, answered: false })
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

    pub(crate) fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Thrown when the JavaScript thread ends.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    fn close(&self, patience: Duration) {
        self.cancel.cancel();
        self.holds.close();
        let mut open = lock(&self.open);
        open.closing = true;
        drop(self.answered.wait_timeout_while(open, patience, |open| open.count > 0));
    }
}

/// The duty to answer one call. Dropped without an answer, it says so: a promise must not stay open for ever.
pub(crate) struct Ticket {
    link: Arc<Link>,
    call: u32,
    answered: bool,
}

type Work = Box<dyn FnOnce(&Arc<Link>) -> Result<Reply, Failure> + Send>;

impl Ticket {
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn answer(mut self, result: Result<Reply, Failure>) {
        self.send(result);
    }

    /// Answers with what `work` gives, on a thread of the pool.
    pub(crate) fn work(self, work: impl FnOnce(&Arc<Link>) -> Result<Reply, Failure> + Send + 'static) {
        self.start(Box::new(work));
    }

    /// Not generic, to be there once.
    fn start(self, work: Work) {
        // Without a thread the ticket is dropped, and answers that.
        let _ = pool::run(move || {
            let result = guard(Place::Work, || work(&self.link));
            self.answer(result);
        });
    }

    fn send(&mut self, result: Result<Reply, Failure>) {
        self.answered = true;
        self.link.send(Message { call: self.call, result });
        let mut open = lock(&self.link.open);
        open.count -= 1;
        if open.closing {
            self.link.answered.notify_all();
        }
    }
}

impl Drop for Ticket {
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
