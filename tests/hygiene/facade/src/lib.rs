//! A crate of a company that re-exports the framework, as a part of its own.

/// What the company calls it.
pub mod events {
    pub use simple_sourcing::*;
}
