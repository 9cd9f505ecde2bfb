//! The macros of `simple-sourcing`, which re-exports them: you annotate a few enums, and the macros generate what every
//! domain has in common.
//!
//! | macro | on | generates |
//! |---|---|---|
//! | [`#[event]`](macro@event) | an enum of what has happened | the applier trait, the projector trait, the projection trait |
//! | [`#[command]`](macro@command) | an enum of what may be asked | the handler trait, the typed client |
//! | [`#[aggregate]`](macro@aggregate) | the state, a struct or an enum | the link between the state and its commands |
//! | [`#[projection]`](macro@projection) | what writes rows for events | its name, version and events |
//! | [`#[derive(Key)]`](macro@Key) | a newtype that names an aggregate | its conversion to text and back |
//! | [`#[derive(Described)]`](macro@Described) | the type of a field | a description of its wire format, as data |
//! | [`expansion!`] | any of these | the generated code, as text |
//!
//! `#[event]`, `#[command]` and `#[aggregate]` derive `Debug`, `Clone`, `PartialEq`, `Serialize` and `Deserialize`,
//! except the traits that you derive yourself **below** the attribute, and those that you implement by hand and name in
//! `manual(...)`. serde comes with the framework.
//!
//! # Where they work
//!
//! Names of the prelude may be shadowed, and the framework may have another name (`crate = "..."`). Two limits remain.
//! Where a field is a parameter, a constant, static or unit struct with the same name is taken for a pattern. And a
//! command whose method is `into` must be sent with `AccountClient::into(&accounts, ...)`, because Rust finds
//! `Into::into` first.
//!
//! # How they work
//!
//! parse (tokens to what was written) → model (what was meant, with all names) → validate (every rule, all mistakes
//! together) → expand (code), or, after a mistake, fallback (the item, stubs, the errors).
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proc_macro::TokenStream;

mod carried;
mod diagnostics;
mod expand;
mod expansion;
mod fallback;
mod misplaced;
mod model;
mod naming;
mod parse;
mod pipeline;
mod symbol;
#[cfg(test)]
mod tests;
mod text;
mod validate;
mod wire;

#[doc = include_str!("docs/event.md")]
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    pipeline::event(args.into(), item.into()).into()
}

#[doc = include_str!("docs/command.md")]
#[proc_macro_attribute]
pub fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    pipeline::command(args.into(), item.into()).into()
}

#[doc = include_str!("docs/aggregate.md")]
#[proc_macro_attribute]
pub fn aggregate(args: TokenStream, item: TokenStream) -> TokenStream {
    pipeline::aggregate(args.into(), item.into()).into()
}

#[doc = include_str!("docs/projection.md")]
#[proc_macro_attribute]
pub fn projection(args: TokenStream, item: TokenStream) -> TokenStream {
    pipeline::projection(args.into(), item.into()).into()
}

#[doc = include_str!("docs/key.md")]
#[proc_macro_derive(Key, attributes(key))]
pub fn key(item: TokenStream) -> TokenStream {
    pipeline::key(item.into()).into()
}

#[doc = include_str!("docs/described.md")]
#[proc_macro_derive(Described, attributes(described, serde))]
pub fn described(item: TokenStream) -> TokenStream {
    pipeline::described(item.into()).into()
}

/// Reports a `#[serde(...)]` that is in the wrong place. The prelude exports it, so it is found for an attribute above
/// `#[event]`, `#[command]` or `#[aggregate]`, which haven't added serde's derives yet. Below them the attribute
/// belongs to the derives.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn serde(args: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::serde(args.into(), item.into()).into()
}

#[doc = include_str!("docs/expansion.md")]
#[proc_macro]
pub fn expansion(input: TokenStream) -> TokenStream {
    expansion::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
