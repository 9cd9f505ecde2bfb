//! What the test binaries share.

pub mod broker;
pub mod history;
pub mod on_broker;
pub mod sending;

/// The code of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
