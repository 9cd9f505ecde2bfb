//! Contracts as data: that the schema has all that the source says, and that serde writes what the schema says.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

mod data;
mod domain;
mod fits;
mod shapes;
mod text;
