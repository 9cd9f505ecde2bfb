//! Sending commands in an order of one's own.

use std::{
    future::{IntoFuture, poll_fn},
    task::Poll,
};

use simple_sourcing::{Call, Command, CommandError, Receipt};

/// Sends a command immediately. The returned future waits for the answer, and may do so in a task: tasks run in any
/// order.
pub async fn send<C: Command>(
    call: Call<C>,
) -> impl Future<Output = Result<Receipt, CommandError<C::Error>>> + Send + 'static {
    let mut call = Box::pin(call.into_future());
    let first = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
    async move {
        match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => call.await,
        }
    }
}
