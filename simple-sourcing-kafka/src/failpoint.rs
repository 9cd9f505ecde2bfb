//! Points at which the process aborts if a test says so (feature `failpoints`). Without the feature they compile to
//! nothing.
//!
//! With `SIMPLE_SOURCING_FAILPOINT=after-produce:3` in the environment, the process aborts the third time that a worker
//! passes that point, without saying goodbye to the broker.

/// A named point.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reached($name);
    };
}
pub(crate) use failpoint;

#[cfg(feature = "failpoints")]
pub(crate) fn reached(name: &str) {
    use std::{
        env, process,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    static CHOSEN: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let choice = env::var("SIMPLE_SOURCING_FAILPOINT").ok()?;
        let (name, count) = choice.split_once(':').expect("a failpoint is chosen by `NAME:COUNT`");
        Some((name.to_owned(), AtomicU64::new(count.parse().expect("it has a count"))))
    });
    if let Some((chosen, left)) = chosen
        && chosen == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        process::abort();
    }
}
