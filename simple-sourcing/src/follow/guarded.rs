use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use super::failure::ApplyError;
use crate::engine::panic_message;

/// Runs the user's code. A panic is an error.
pub(super) async fn guarded<T>(run: impl Future<Output = Result<T, ApplyError>>) -> Result<T, ApplyError> {
    let mut run = pin!(run);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))).unwrap_or_else(|panic| {
            Poll::Ready(Err(ApplyError::failed(format!("the subscriber panicked: {}", panic_message(&*panic)))))
        })
    })
    .await
}
