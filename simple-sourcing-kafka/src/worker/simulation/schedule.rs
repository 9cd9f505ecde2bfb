//! Who runs next: tasks of simulated processes, polled one at a time, in an order that the seed decides.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::world::Shared;

/// One of the things that a process does at the same time.
pub(super) struct Task {
    pub(super) process: usize,
    pub(super) future: Pin<Box<dyn Future<Output = ()>>>,
    awake: Arc<Awake>,
    /// When it wakes up by itself.
    pub(super) asleep_until: Option<u64>,
}

struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Task {
    pub(super) fn new(process: usize, future: impl Future<Output = ()> + 'static) -> Self {
        let awake = Arc::new(Awake(AtomicBool::new(true)));
        Task { process, future: Box::pin(future), awake, asleep_until: None }
    }

    /// Whether it can run.
    pub(super) fn is_ready(&self, now: u64) -> bool {
        self.awake.0.load(Ordering::Relaxed) || self.asleep_until.is_some_and(|until| until <= now)
    }

    /// Runs to the next point. Returns whether it has ended.
    pub(super) fn go_on(&mut self, world: &Shared) -> bool {
        self.awake.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.awake.clone());
        let ended = self.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        self.asleep_until = world.borrow_mut().asleep_until.take();
        ended
    }
}

/// Lets others run first, or for ever: the process may die here.
pub(super) async fn point() {
    let mut passed = false;
    poll_fn(|context| {
        if passed {
            return Poll::Ready(());
        }
        passed = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Sleeps until the time has passed.
pub(super) async fn sleep(world: &Shared, millis: u64) {
    let until = world.borrow().now + millis;
    poll_fn(|_| {
        let mut world = world.borrow_mut();
        if world.now >= until {
            return Poll::Ready(());
        }
        world.asleep_until = Some(until);
        Poll::Pending
    })
    .await;
}
