//! The generated code means the same wherever it is, and whatever is in scope there.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod attributes;
mod crates;
mod names;
mod no_implicit_prelude;
mod scopes;
mod shadowed;

use simple_sourcing::{Aggregate, App, AppHandle, Memory};

/// An app that serves this aggregate.
async fn serve<A: Aggregate>() -> AppHandle {
    App::new("hygiene").aggregate::<A>().start(Memory::new()).await.unwrap()
}

/// A rejection for domains that are not about their errors.
#[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("no")]
pub struct Never;

#[tokio::test]
async fn a_module_without_a_prelude() {
    no_implicit_prelude::check().await;
}
