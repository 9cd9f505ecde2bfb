//! The macros of [simple-sourcing](https://crates.io/crates/simple-sourcing), which re-exports them: a domain is a few
//! annotated enums, and what they have in common with every other domain is written by these.
//!
//! | macro | on | writes |
//! |---|---|---|
//! | [`#[event]`](macro@event) | an enum of what has happened | the applier trait, the projector trait |
//! | [`#[command]`](macro@command) | an enum of what may be asked | the handler trait, the typed client |
//! | [`#[aggregate]`](macro@aggregate) | the state, a struct or an enum | the tie between the state and its commands |
//! | [`#[derive(Key)]`](macro@Key) | a newtype that names an aggregate | its way to text and back |
//!
//! `#[event]`, `#[command]` and `#[aggregate]` add the derives `Debug`, `Clone`, `PartialEq`, `Serialize` and
//! `Deserialize`, except those that you write yourself, **below** the attribute. serde comes with the framework.
//!
//! # How it is made
//!
//! parse (tokens to what was written) → model (what was meant, with all names) → validate (every rule, all mistakes
//! together) → expand (code), or, after a mistake, fallback (the item, stubs, the errors).
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proc_macro::TokenStream;

mod diagnostics;
mod expand;
mod fallback;
mod model;
mod naming;
mod parse;
mod symbol;
#[cfg(test)]
mod tests;
mod validate;

/// What has happened to an aggregate: an enum with a variant for each event.
///
/// ```ignore
/// use simple_sourcing::prelude::*;
///
/// #[event(key = String)]
/// pub enum AccountEvent {
///     #[create]
///     Opened { owner: String },
///     Deposited { amount: u64 },
///     #[delete]
///     Closed,
/// }
///
/// impl AccountApplier for Account {
///     fn opened(owner: String) -> Self {
///         Account { owner, balance: 0 }
///     }
///     fn deposited(&mut self, amount: u64) {
///         self.balance += amount;
///     }
/// }
/// ```
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `key = Type` | the type that names one aggregate; it implements [`Key`](macro@Key) | required |
/// | `name = "..."` | the name of the aggregate on the wire: ASCII letters, digits, `.`, `_` and `-` | the enum's name without `Event`, in kebab-case: `OrderLineEvent` is `order-line` |
/// | `applier = Name` | the name of the applier trait | `AccountApplier` |
/// | `projector = Name` | the name of the projector trait | `AccountProjector` |
/// | `crate = "path"` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// | on a variant | meaning |
/// |---|---|
/// | `#[create]` | the event makes the state; at least one does |
/// | (nothing) | the event changes the state |
/// | `#[delete]` | the event removes the state |
/// | `#[serde(rename = "...", alias = "...")]` | the name on the wire; so does `#[serde(rename_all = "...")]` on the enum |
/// | documentation, `#[cfg]`, `#[deprecated]` | carried over to the methods |
///
/// The methods are named after the variants, in `snake_case`. The fields of a struct variant are their parameters; the field
/// of a tuple variant is called `value`, several are called `value_0`, `value_1` and so on.
///
/// # What it writes
///
/// ```ignore
/// impl Event for AccountEvent { /* the key, the names, the variants */ }
///
/// /// How the events change the state: implemented by the aggregate.
/// pub trait AccountApplier: Sized {
///     fn opened(owner: String) -> Self;
///     fn deposited(&mut self, amount: u64);
/// }
///
/// /// What a view makes of the events: implemented by the view. What is not written does nothing.
/// pub trait AccountProjector {
///     fn opened(&mut self, meta: &EventMeta<String>, owner: String) {}
///     fn deposited(&mut self, meta: &EventMeta<String>, amount: u64) {}
///     fn closed(&mut self, meta: &EventMeta<String>) {}
/// }
///
/// impl<A: AccountApplier> AppliedTo<A> for AccountEvent { /* calls the method of the variant */ }
/// impl<P: AccountProjector> ProjectedBy<P> for AccountEvent { /* calls the method of the variant */ }
/// ```
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand_event(args.into(), item.into()).into()
}

/// What a client may ask of an aggregate: an enum with a variant for each command.
///
/// ```ignore
/// use simple_sourcing::prelude::*;
///
/// #[command(event = AccountEvent, error = AccountError)]
/// pub enum AccountCommand {
///     #[create]
///     Open { owner: String },
///     Deposit { amount: u64 },
///     #[upsert]
///     Note { text: String },
///     #[context]
///     Close,
/// }
///
/// impl AccountHandler for Account {
///     fn open(owner: String) -> Decision<Self> {
///         emit(AccountEvent::Opened { owner })
///     }
///     fn deposit(&self, amount: u64) -> Decision<Self> {
///         ensure!(amount > 0, AccountError::Nothing);
///         emit(AccountEvent::Deposited { amount })
///     }
///     fn note(this: Option<&Self>, text: String) -> Decision<Self> {
///         emit(AccountEvent::Noted { text, open: this.is_some() })
///     }
///     fn close(&self, context: &Context<String>) -> Decision<Self> {
///         emit(AccountEvent::Closed { at: context.time() })
///     }
/// }
/// ```
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `event = Path` | the [`#[event]`](macro@event) enum | required |
/// | `error = Path` | why commands are rejected: implements `Error`, `Serialize` and `Deserialize` | required |
/// | `context` | all methods take the context: key, sequence, command id, time | only those marked `#[context]` |
/// | `handler = Name` | the name of the handler trait | `AccountHandler` |
/// | `client = Name` | the name of the typed client | `AccountClient` |
/// | `crate = "path"` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// | on a variant | meaning | the method takes |
/// |---|---|---|
/// | `#[create]` | finds no aggregate, else the client gets `AlreadyExists` | no `self` |
/// | (nothing) | finds an aggregate, else the client gets `NotFound` | `&self` |
/// | `#[upsert]` | finds either | `this: Option<&Self>` |
/// | `#[context]` | wants to know more than the payload | `context: &Context<Key>`, before the fields |
/// | `#[serde(rename = "...", alias = "...")]` | the name on the wire; so does `#[serde(rename_all = "...")]` on the enum | |
/// | documentation, `#[cfg]`, `#[deprecated]` | carried over to the methods of the handler and the client | |
///
/// Methods and parameters are named as those of [`#[event]`](macro@event).
///
/// # What it writes
///
/// ```ignore
/// impl Command for AccountCommand { /* the types, the names, the variants */ }
///
/// /// How the commands are decided: implemented by the aggregate.
/// pub trait AccountHandler: Sized {
///     fn open(owner: String) -> Result<Events<AccountEvent>, AccountError>;
///     fn deposit(&self, amount: u64) -> Result<Events<AccountEvent>, AccountError>;
///     fn note(this: Option<&Self>, text: String) -> Result<Events<AccountEvent>, AccountError>;
///     fn close(&self, context: &Context<String>) -> Result<Events<AccountEvent>, AccountError>;
/// }
///
/// impl<A: AccountHandler> HandledBy<A> for AccountCommand { /* calls the method of the variant */ }
///
/// /// Sends the commands.
/// #[derive(Debug, Clone)]
/// pub struct AccountClient(Client<AccountCommand>);
///
/// impl AccountClient {
///     pub fn open(&self, key: impl Into<String>, owner: String) -> Call<AccountCommand> { /* ... */ }
///     pub fn deposit(&self, key: impl Into<String>, amount: u64) -> Call<AccountCommand> { /* ... */ }
///     pub fn note(&self, key: impl Into<String>, text: String) -> Call<AccountCommand> { /* ... */ }
///     pub fn close(&self, key: impl Into<String>) -> Call<AccountCommand> { /* ... */ }
/// }
/// ```
#[proc_macro_attribute]
pub fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand_command(args.into(), item.into()).into()
}

/// The state of an aggregate: a struct, or an enum whose variants are the states of a life cycle.
///
/// ```ignore
/// use simple_sourcing::prelude::*;
///
/// #[aggregate(command = AccountCommand)]
/// pub struct Account {
///     owner: String,
///     balance: u64,
/// }
/// ```
///
/// It implements the two traits that [`#[command]`](macro@command) and [`#[event]`](macro@event) wrote, here `AccountHandler`
/// and `AccountApplier`.
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `command = Path` | the [`#[command]`](macro@command) enum | required |
/// | `crate = "path"` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// # What it writes
///
/// ```ignore
/// impl Aggregate for Account {
///     type Command = AccountCommand;
/// }
/// ```
#[proc_macro_attribute]
pub fn aggregate(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand_aggregate(args.into(), item.into()).into()
}

/// Makes a newtype a key: its text is that of its field.
///
/// ```ignore
/// use simple_sourcing::prelude::*;
///
/// #[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
/// pub struct OrderNumber(u64);
///
/// #[event(key = OrderNumber)]
/// pub enum OrderEvent {
///     #[create]
///     Placed,
/// }
/// ```
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `#[key(crate = "path")]` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// # What it writes
///
/// ```ignore
/// impl Key for OrderNumber {
///     fn to_text(&self) -> String {
///         self.0.to_text()
///     }
///     fn from_text(text: &str) -> Result<Self, KeyError> {
///         Ok(OrderNumber(u64::from_text(text)?))
///     }
/// }
/// ```
#[proc_macro_derive(Key, attributes(key))]
pub fn key(item: TokenStream) -> TokenStream {
    expand::expand_key(item.into()).into()
}
