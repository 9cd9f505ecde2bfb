use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::pages::Pages;
use crate::{
    engine::AggregateIndex,
    error::BackendError,
    model::Cursor,
    port::{DeadLetter, Port},
};

/// The dead letters of an aggregate type: commands that can't be processed, each as it arrived, with the reason. In the order
/// of each partition, up to those that are there now. A [`Stream`] that also has [`next`](DeadLetters::next) of its own, so
/// that simple readers need no other crate.
///
/// Nobody waits for the outcome of a dead letter: it is a record that no client of this library wrote, or one that was damaged.
/// Backends of one process have none, because what they can't read never gets that far. An error ends the stream.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// let mut letters = app.dead_letters::<AccountCommand>();
/// while let Some(letter) = letters.next().await {
///     let letter = letter?;
///     println!("{}: {}", letter.command_position, letter.cause);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "dead letters are fetched when the stream is asked for them"]
pub struct DeadLetters {
    pages: Pages<DeadLetter, Cursor>,
}

impl DeadLetters {
    pub(super) fn new(port: Arc<dyn Port>, aggregate: Result<AggregateIndex, BackendError>) -> Self {
        let pages = Pages::new(Cursor::beginning(), move |after| {
            let (port, aggregate) = (port.clone(), aggregate.clone());
            Box::pin(async move {
                let page = port.dead_letters(aggregate?, after.clone()).await?;
                Ok((page.letters, Some(page.next).filter(|next| *next != after)))
            })
        });
        DeadLetters { pages }
    }

    /// Waits for the next dead letter; none at the end of the stream.
    ///
    /// # Errors
    /// When the backend can't read them, or the aggregate type is not part of the app.
    pub async fn next(&mut self) -> Option<Result<DeadLetter, BackendError>> {
        poll_fn(|context| self.pages.poll_next(context)).await
    }
}

impl Stream for DeadLetters {
    type Item = Result<DeadLetter, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pages.poll_next(context)
    }
}
