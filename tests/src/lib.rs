//! What the test binaries share.
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

pub mod bank;
pub mod benchmark;
pub mod broker;
pub mod checker;
pub mod clock;
pub mod disk;
pub mod needing;
pub mod node;
pub mod offsets;
pub mod on_broker;
pub mod postgres;
mod preload;
pub mod proxy;
pub mod resident;
pub mod secured;
pub mod sending;
pub mod topics;
pub mod trouble;

/// The code of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The code of the guide to projections in databases compiles.
#[cfg(doctest)]
#[doc = include_str!("../../simple-sourcing/sql/README.md")]
pub struct SqlReadme;

/// The code of the guide to Kafka compiles.
#[cfg(doctest)]
#[doc = include_str!("../../simple-sourcing-kafka/README.md")]
pub struct KafkaReadme;
