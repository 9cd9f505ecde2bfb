//! The rules of the codebase, as tests: which module may use which, what the engine must do without, and how long a
//! file or a function may get. Each crate's `lib.rs` has a table of its modules; that table defines its layers.

mod crates;
mod imports;
mod layers;
mod names;
mod purity;
mod sizes;
