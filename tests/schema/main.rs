//! Contracts as data: the schema has everything that the source says, and serde writes what the schema says.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

mod data;
mod domain;
mod fits;
mod shapes;
mod text;
