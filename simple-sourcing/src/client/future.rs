use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::{Call, Pending, outcome, pending::Answer};
use crate::{
    error::CommandError,
    model::{Command, CommandId, Event, Receipt},
};

pin_project! {
    /// The future of a [`Call`] or a [`Pending`](super::Pending): it completes with the receipt of the command.
    ///
    /// A call is sent when its future is first polled. The future is small and needs no allocation, because a busy client
    /// holds thousands.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// # accounts.open("bob").await?;
    /// // Both are in flight at the same time.
    /// let (alice, bob) = tokio::join!(accounts.deposit("alice", 50), accounts.deposit("bob", 50));
    /// # alice?; bob?;
    /// # Ok(()) }
    /// ```
    #[must_use = "a command is sent when its future is polled"]
    pub struct ReceiptFuture<C: Command> {
        #[pin]
        stage: Stage<C>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<C: Command> {
        // None once it is sent.
        Unsent { call: Option<Call<C>> },
        Waiting { id: CommandId, answer: Answer, #[pin] timeout: Sleep },
    }
}

impl<C: Command> ReceiptFuture<C> {
    pub(super) fn unsent(call: Call<C>) -> Self {
        ReceiptFuture { stage: Stage::Unsent { call: Some(call) } }
    }

    pub(super) fn waiting(id: CommandId, answer: Answer, timeout: Duration) -> Self {
        ReceiptFuture { stage: Stage::Waiting { id, answer, timeout: sleep(timeout) } }
    }
}

impl<C: Command> IntoFuture for Call<C> {
    type Output = Result<Receipt, CommandError<C::Error>>;
    type IntoFuture = ReceiptFuture<C>;

    fn into_future(self) -> Self::IntoFuture {
        ReceiptFuture::unsent(self)
    }
}

impl<C: Command> IntoFuture for Pending<C> {
    type Output = Result<Receipt, CommandError<C::Error>>;
    type IntoFuture = ReceiptFuture<C>;

    /// Waits for as long as the call's timeout says.
    fn into_future(self) -> Self::IntoFuture {
        ReceiptFuture::waiting(self.id, self.answer, self.timeout)
    }
}

impl<C: Command> Future for ReceiptFuture<C> {
    type Output = Result<Receipt, CommandError<C::Error>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        if let StageProjection::Unsent { call } = stage.as_mut().project()
            && let Some(call) = call.take()
        {
            let (id, timeout) = (call.id(), call.patience());
            let answer = call.submit(None)?;
            stage.set(Stage::Waiting { id, answer, timeout: sleep(timeout) });
        }
        let StageProjection::Waiting { id, answer, timeout } = stage.project() else {
            panic!("`ReceiptFuture` polled after completion");
        };
        match Pin::new(answer).poll(context) {
            Poll::Ready(Ok(outcome)) => return Poll::Ready(outcome::receipt(C::Event::AGGREGATE, *id, outcome?)),
            // The backend went away while the command was in flight.
            Poll::Ready(Err(_)) => {}
            Poll::Pending => ready!(timeout.poll(context)),
        }
        Poll::Ready(Err(CommandError::Timeout { command_id: *id }))
    }
}

impl<C: Command> fmt::Debug for ReceiptFuture<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ReceiptFuture");
        match &self.stage {
            Stage::Unsent { call } => debug.field("call", call),
            Stage::Waiting { id, .. } => debug.field("command_id", id),
        };
        debug.finish_non_exhaustive()
    }
}
