use std::{
    fmt,
    task::{Context, Poll, ready},
    vec,
};

use crate::{error::BackendError, port::BoxFuture};

/// Items, and where the next page begins; none if this was the last.
pub(super) type Page<T, P> = (Vec<T>, Option<P>);

type Fetching<T, P> = BoxFuture<'static, Result<Page<T, P>, BackendError>>;

/// Items that arrive in pages, which are fetched one by one. It ends after an error.
pub(super) struct Pages<T, P> {
    page: vec::IntoIter<T>,
    next: Option<P>,
    fetching: Option<Fetching<T, P>>,
    fetch: Box<dyn Fn(P) -> Fetching<T, P> + Send>,
}

impl<T, P> Pages<T, P> {
    pub(super) fn new(first: P, fetch: impl Fn(P) -> Fetching<T, P> + Send + 'static) -> Self {
        Pages { page: Vec::new().into_iter(), next: Some(first), fetching: None, fetch: Box::new(fetch) }
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, BackendError>>> {
        loop {
            if let Some(item) = self.page.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            if let Some(at) = self.next.take() {
                self.fetching = Some((self.fetch)(at));
            }
            let Some(fetching) = &mut self.fetching else { return Poll::Ready(None) };
            let fetched = ready!(fetching.as_mut().poll(context));
            self.fetching = None;
            match fetched {
                Ok((page, next)) => (self.page, self.next) = (page.into_iter(), next),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl<T, P> fmt::Debug for Pages<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}
