//! The macros of [simple-sourcing](https://crates.io/crates/simple-sourcing), which re-exports them: a domain is a few
//! annotated enums, and what they have in common with every other domain is written by these.
//!
//! | macro | on | writes |
//! |---|---|---|
//! | [`#[event]`](macro@event) | an enum of what has happened | the applier trait, the projector trait |
//! | [`#[command]`](macro@command) | an enum of what may be asked | the handler trait, the typed client |
//! | [`#[aggregate]`](macro@aggregate) | the state, a struct or an enum | the tie between the state and its commands |
//! | [`#[derive(Key)]`](macro@Key) | a newtype that names an aggregate | its way to text and back |
//! | [`expansion!`] | any of these | what the macro writes for it, as a text |
//!
//! `#[event]`, `#[command]` and `#[aggregate]` add the derives `Debug`, `Clone`, `PartialEq`, `Serialize` and
//! `Deserialize`, except those that you write yourself **below** the attribute, and those that you write by hand and name in
//! `manual(...)`. serde comes with the framework.
//!
//! # What they expect of their place
//!
//! Names of the prelude may mean something else, and the framework may have another name (`crate = "..."`). Two things can't
//! be helped: a constant, a static or a unit struct that is called like a field is taken for its value where the field is a
//! parameter; and a command with the method `into` has to be sent with `AccountClient::into(&accounts, ...)`, because Rust
//! finds `Into::into` first.
//!
//! # How it is made
//!
//! parse (tokens to what was written) → model (what was meant, with all names) → validate (every rule, all mistakes
//! together) → expand (code), or, after a mistake, fallback (the item, stubs, the errors).
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proc_macro::TokenStream;

mod carried;
mod describe;
mod diagnostics;
mod expand;
mod expansion;
mod fallback;
mod misplaced;
mod model;
mod naming;
mod parse;
mod symbol;
#[cfg(test)]
mod tests;
mod text;
mod validate;
mod wire;

/// What has happened to an aggregate: an enum with a variant for each event.
///
/// ```
/// use simple_sourcing::prelude::*;
/// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
/// # #[error("no")]
/// # pub struct Never;
/// # #[command(event = AccountEvent, error = Never)]
/// # pub enum AccountCommand {
/// #     #[create]
/// #     Open,
/// # }
/// # impl AccountHandler for Account {
/// #     fn open() -> Decision<Self> {
/// #         reject(Never)
/// #     }
/// # }
/// # #[aggregate(command = AccountCommand)]
/// # pub struct Account {
/// #     owner: String,
/// #     balance: u64,
/// # }
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
/// | `manual(Trait, ...)` | of the derives that are added, those that you write by hand | none |
/// | `no_implicit_prelude` | the enum stands under `#![no_implicit_prelude]`, where the attribute that words a missing implementation has no name | off |
/// | `crate = "path"` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// | on a variant | meaning |
/// |---|---|
/// | `#[create]` | the event makes the state; at least one does |
/// | (nothing) | the event changes the state |
/// | `#[delete]` | the event removes the state |
/// | `#[serde(rename = "...", alias = "...")]` | the name on the wire; so does `#[serde(rename_all = "...")]` on the enum |
/// | documentation, `#[cfg]`, `#[deprecated]`, levels of lints (`#[allow]` and so on) | carried over to the methods; levels of lints on the enum to all that is generated |
///
/// The methods are named after the variants, in `snake_case`. The fields of a struct variant are their parameters; the field
/// of a tuple variant is called `value`, several are called `value_0`, `value_1` and so on.
///
/// Each option and each mark:
///
/// ```
/// # mod framework {
/// #     pub use simple_sourcing as events;
/// # }
/// use framework::events::{Event, EventMeta, Key, event};
///
/// #[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
/// #[key(crate = "framework::events")]
/// pub struct OrderNumber(u64);
///
/// #[event(
///     key = OrderNumber,
///     name = "orders.v1",
///     applier = ApplyOrder,
///     projector = ProjectOrder,
///     manual(Debug),
///     crate = "framework::events"
/// )]
/// #[derive(Eq)]
/// #[serde(rename_all = "snake_case")]
/// pub enum OrderEvent {
///     /// The documentation of `placed`.
///     #[create]
///     Placed { r#for: String },
///     #[serde(rename = "SHIPPED", alias = "sent")]
///     Shipped(u64, u64),
///     #[cfg(feature = "returns")]
///     Returned,
///     #[deprecated = "orders are not touched any more"]
///     Touched,
///     #[delete]
///     Cancelled,
/// }
///
/// impl std::fmt::Debug for OrderEvent {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str(self.name())
///     }
/// }
///
/// #[derive(Default)]
/// struct Parcels(u128);
///
/// impl ProjectOrder for Parcels {
///     fn shipped(&mut self, meta: &EventMeta<OrderNumber>, value_0: u64, value_1: u64) {
///         println!("order {:?} was shipped at {:?}", meta.key, meta.time);
///         self.0 += u128::from(value_0) + u128::from(value_1);
///     }
/// }
///
/// assert_eq!(OrderEvent::AGGREGATE, "orders.v1");
/// assert_eq!(format!("{:?}", OrderEvent::Shipped(1, 2)), "SHIPPED");
/// ```
///
/// ```
/// #![no_implicit_prelude]
///
/// #[::simple_sourcing::event(key = u64, no_implicit_prelude)]
/// enum LampEvent {
///     #[create]
///     Hung { on: ::std::option::Option<bool> },
/// }
/// # fn main() {}
/// ```
///
/// # What of serde it refuses
///
/// Attributes of serde stand below `#[event]`, which adds serde's derives. An event is what stands in the log, so it must be
/// read back as it was written. Attributes with which it would not be, or could never be written, are errors:
///
/// | refused | write instead |
/// |---|---|
/// | `skip`, `skip_serializing`, `skip_deserializing` on a field or a variant | nothing: remove it, or the field |
/// | `skip_serializing_if` without `default` (but for an `Option`), or before other fields of a tuple | `default`, too; fields with names |
/// | `rename`, `rename_all` that write one name and read another | one name, and `alias` for what else is read |
/// | two variants, or two fields, with a name in common | another name |
/// | `serialize_with` or `deserialize_with` alone | the other, too; `"serde::Serialize::serialize"` and `"serde::Deserialize::deserialize"` are what the derives do |
/// | `into`, `from`, `try_from` alone or with different types | both, with one type |
/// | `untagged`, `other`, `remote`, `field_identifier`, `variant_identifier` | `tag = "..."`, or nothing |
/// | `flatten` or `tag` above what serde can't keep in memory: `u128`, `i128`, maps with keys of numbers or `bool` | `content = "..."`, or another type |
/// | `flatten` or `tag` above what has no names: numbers, texts, lists | a struct |
///
/// It is what the macro can see. The engine compares each event with what is read back of its bytes, too. With
/// `manual(Serialize)` or `manual(Deserialize)` all of it is left to you.
///
/// # What it writes
///
/// ```ignore
/// impl Event for AccountEvent { /* the key, the names, the variants, their description */ }
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
///
/// All of it can be read with [`expansion!`].
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand_event(args.into(), item.into()).into()
}

/// What a client may ask of an aggregate: an enum with a variant for each command.
///
/// ```
/// use simple_sourcing::prelude::*;
/// # #[event(key = String)]
/// # pub enum AccountEvent {
/// #     #[create]
/// #     Opened { owner: String },
/// #     Deposited { amount: u64 },
/// #     #[create]
/// #     Noted { text: String },
/// #     #[delete]
/// #     Closed { at: simple_sourcing::Timestamp },
/// # }
/// # #[aggregate(command = AccountCommand)]
/// # pub struct Account {
/// #     balance: u64,
/// # }
/// # impl AccountApplier for Account {
/// #     fn opened(_: String) -> Self {
/// #         Account { balance: 0 }
/// #     }
/// #     fn deposited(&mut self, amount: u64) {
/// #         self.balance += amount;
/// #     }
/// #     fn noted(_: String) -> Self {
/// #         Account { balance: 0 }
/// #     }
/// # }
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
/// #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
/// pub enum AccountError {
///     #[error("nothing to deposit, or more than a balance can be")]
///     Amount,
///     #[error("there is an account")]
///     NoteOfAnAccount,
/// }
///
/// impl AccountHandler for Account {
///     fn open(owner: String) -> Decision<Self> {
///         emit(AccountEvent::Opened { owner })
///     }
///     fn deposit(&self, amount: u64) -> Decision<Self> {
///         ensure!(amount > 0 && self.balance.checked_add(amount).is_some(), AccountError::Amount);
///         emit(AccountEvent::Deposited { amount })
///     }
///     fn note(this: Option<&Self>, text: String) -> Decision<Self> {
///         ensure!(this.is_none(), AccountError::NoteOfAnAccount);
///         emit(AccountEvent::Noted { text })
///     }
///     fn close(&self, context: &Context<String>) -> Decision<Self> {
///         emit(AccountEvent::Closed { at: context.time() })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::new("bank").aggregate::<Account>().start(Memory::new()).await?;
/// let accounts: AccountClient = app.client();
/// accounts.open("alice", "Alice".to_owned()).await?;
/// accounts.deposit("alice", 5).await?;
/// assert_eq!(app.state::<Account>("alice").await?.map(|account| account.balance), Some(5));
/// # Ok(())
/// # }
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
/// | `manual(Trait, ...)` | of the derives that are added, those that you write by hand | none |
/// | `no_implicit_prelude` | the enum stands under `#![no_implicit_prelude]`, where the attribute that words a missing implementation has no name | off |
/// | `crate = "path"` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// | on a variant | meaning | the method takes |
/// |---|---|---|
/// | `#[create]` | finds no aggregate, else the client gets `AlreadyExists` | no `self` |
/// | (nothing) | finds an aggregate, else the client gets `NotFound` | `&self` |
/// | `#[upsert]` | finds either | `this: Option<&Self>` |
/// | `#[context]` | wants to know more than the payload | `context: &Context<Key>`, before the fields |
/// | `#[serde(rename = "...", alias = "...")]` | the name on the wire; so does `#[serde(rename_all = "...")]` on the enum | |
/// | documentation, `#[cfg]`, `#[deprecated]`, levels of lints (`#[allow]` and so on) | carried over to the methods of the handler and the client; levels of lints on the enum to all that is generated | |
///
/// Methods and parameters are named as those of [`#[event]`](macro@event), and of serde the same is refused.
///
/// A retry is known by its bytes, so equal commands must be written as the same bytes. Maps are: they are written in the order
/// of their keys. A `HashSet` is written in another order each time and is an error; write `BTreeSet`. The macro goes by the
/// name of the type, whatever stands before `HashSet`. A set of your own that keeps an order is imported under another name, or
/// its field has `#[serde(with = "...")]`.
///
/// Each option:
///
/// ```
/// # mod framework {
/// #     pub use simple_sourcing as events;
/// # }
/// use framework::events::{Command, Context, Decision, aggregate, command, emit, event};
///
/// # #[event(key = u64, crate = "framework::events")]
/// # pub enum OrderEvent {
/// #     #[create]
/// #     Placed,
/// #     Shipped { at: framework::events::Timestamp },
/// # }
/// # #[aggregate(command = OrderCommand, crate = "framework::events")]
/// # pub struct Order;
/// # impl OrderApplier for Order {
/// #     fn placed() -> Self {
/// #         Order
/// #     }
/// #     fn shipped(&mut self, _: framework::events::Timestamp) {}
/// # }
/// # #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)]
/// # #[error("no")]
/// # pub struct OrderError;
/// #[command(
///     event = OrderEvent,
///     error = OrderError,
///     context,
///     handler = HandleOrder,
///     client = Orders,
///     manual(PartialEq),
///     crate = "framework::events"
/// )]
/// #[serde(rename_all = "snake_case")]
/// pub enum OrderCommand {
///     #[create]
///     Place,
///     Ship,
/// }
///
/// impl PartialEq for OrderCommand {
///     fn eq(&self, other: &Self) -> bool {
///         self.name() == other.name()
///     }
/// }
///
/// impl HandleOrder for Order {
///     fn place(_: &Context<u64>) -> Decision<Self> {
///         emit(OrderEvent::Placed)
///     }
///     fn ship(&self, context: &Context<u64>) -> Decision<Self> {
///         emit(OrderEvent::Shipped { at: context.time() })
///     }
/// }
///
/// fn ship(orders: &Orders) -> framework::events::Call<OrderCommand> {
///     orders.ship(7u64)
/// }
///
/// assert_eq!(OrderCommand::Place.name(), "place");
/// ```
///
/// # What it writes
///
/// ```ignore
/// impl Command for AccountCommand { /* the types, the names, the variants, their description */ }
///
/// /// How the commands are decided: implemented by the aggregate.
/// pub trait AccountHandler: Sized {
///     fn open(owner: String) -> Result<Accepted<AccountEvent>, AccountError>;
///     fn deposit(&self, amount: u64) -> Result<Accepted<AccountEvent>, AccountError>;
///     fn note(this: Option<&Self>, text: String) -> Result<Accepted<AccountEvent>, AccountError>;
///     fn close(&self, context: &Context<String>) -> Result<Accepted<AccountEvent>, AccountError>;
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
///
/// All of it can be read with [`expansion!`].
#[proc_macro_attribute]
pub fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand_command(args.into(), item.into()).into()
}

/// The state of an aggregate: a struct, or an enum whose variants are the states of a life cycle.
///
/// It implements the two traits that [`#[command]`](macro@command) and [`#[event]`](macro@event) wrote, here `OrderHandler`
/// and `OrderApplier`.
///
/// ```
/// use simple_sourcing::prelude::*;
/// # #[event(key = u64)]
/// # pub enum OrderEvent {
/// #     #[create]
/// #     Drafted,
/// #     Placed { items: u32 },
/// # }
/// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
/// # #[error("no")]
/// # pub struct OrderError;
/// # #[command(event = OrderEvent, error = OrderError)]
/// # pub enum OrderCommand {
/// #     #[create]
/// #     Draft,
/// #     Place { items: u32 },
/// # }
///
/// #[aggregate(command = OrderCommand)]
/// pub enum Order {
///     Draft,
///     Placed { items: u32 },
/// }
///
/// impl OrderHandler for Order {
///     fn draft() -> Decision<Self> {
///         emit(OrderEvent::Drafted)
///     }
///     fn place(&self, items: u32) -> Decision<Self> {
///         ensure!(*self == Order::Draft, OrderError);
///         emit(OrderEvent::Placed { items })
///     }
/// }
///
/// impl OrderApplier for Order {
///     fn drafted() -> Self {
///         Order::Draft
///     }
///     fn placed(&mut self, items: u32) {
///         *self = Order::Placed { items };
///     }
/// }
/// ```
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `command = Path` | the [`#[command]`](macro@command) enum | required |
/// | `manual(Trait, ...)` | of the derives that are added, those that you write by hand | none |
/// | `crate = "path"` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// Of serde the same is refused as in [`#[event]`](macro@event), except that a field may be skipped which `PartialEq` leaves
/// out: a cache, which is made of the other fields when it is needed. Then `PartialEq` is written by hand, or derived by an
/// attribute of your own over a type that is equal to all of its kind.
///
/// Each option:
///
/// ```
/// # mod framework {
/// #     pub use simple_sourcing as events;
/// # }
/// # mod counter {
/// #     use super::framework::events::{command, event};
/// #     #[event(key = u64, crate = "crate::framework::events")]
/// #     pub enum CounterEvent {
/// #         #[create]
/// #         Counted,
/// #     }
/// #     #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)]
/// #     #[error("no")]
/// #     pub struct CounterError;
/// #     #[command(event = CounterEvent, error = CounterError, crate = "crate::framework::events")]
/// #     pub enum CounterCommand {
/// #         #[upsert]
/// #         Count,
/// #     }
/// # }
/// # use counter::{CounterApplier, CounterEvent, CounterHandler};
/// # use framework::events::{Decision, emit};
/// # impl CounterHandler for Counter {
/// #     fn count(_: Option<&Self>) -> Decision<Self> {
/// #         emit(CounterEvent::Counted)
/// #     }
/// # }
/// # impl CounterApplier for Counter {
/// #     fn counted() -> Self {
/// #         Counter { count: 1, cached: 1 }
/// #     }
/// # }
/// # fn main() {}
/// use framework::events::aggregate;
///
/// #[aggregate(command = counter::CounterCommand, manual(PartialEq), crate = "framework::events")]
/// pub struct Counter {
///     count: u64,
///     #[serde(skip)]
///     cached: u64,
/// }
///
/// impl PartialEq for Counter {
///     fn eq(&self, other: &Self) -> bool {
///         self.count == other.count
///     }
/// }
/// ```
///
/// # What it writes
///
/// ```ignore
/// impl Aggregate for Order {
///     type Command = OrderCommand;
///     const DESCRIPTION: &'static [&'static str] = &["state: Order", "    Draft", "    Placed { items: u32 }"];
/// }
/// ```
#[proc_macro_attribute]
pub fn aggregate(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand_aggregate(args.into(), item.into()).into()
}

/// Makes a newtype a key: its text is that of its field.
///
/// ```
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
///
/// assert_eq!(OrderNumber(7).to_text(), "7");
/// assert_eq!(OrderNumber::from_text("7"), Ok(OrderNumber(7)));
/// assert!(OrderNumber::from_text("007").is_err(), "a key has one text");
/// ```
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `#[key(crate = "path")]` | where simple-sourcing is, if it was renamed or re-exported | `"::simple_sourcing"` |
///
/// ```
/// # mod framework {
/// #     pub use simple_sourcing as events;
/// # }
/// #[derive(Debug, Clone, PartialEq, Eq, Hash, framework::events::Key)]
/// #[key(crate = "framework::events")]
/// pub struct Name {
///     text: String,
/// }
/// ```
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

/// Says where attributes of serde stand. It is in the prelude to be found for one that stands above `#[event]`, `#[command]` or
/// `#[aggregate]`, before these have added serde's derives; below them such an attribute is that of the derives.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn serde(args: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::serde(args.into(), item.into()).into()
}

/// What one of the macros writes for an item, as a `&'static str`: to be read, and to be kept as a snapshot, so that a change
/// of it, by you or by a new version of the framework, is seen in review. It needs no nightly compiler and no other tool.
///
/// | written | gives the code for |
/// |---|---|
/// | `expansion!("src/domain.rs", AccountEvent)` | the enum or struct of that name in that file of your crate; the path begins beside `Cargo.toml` |
/// | `expansion! { #[event(key = String)] enum AccountEvent { ... } }` | the item that stands there |
///
/// In a test, with [insta](https://docs.rs/insta):
///
/// ```ignore
/// #[test]
/// fn the_code_of_the_macros() {
///     insta::assert_snapshot!(simple_sourcing::expansion!("src/domain.rs", AccountEvent));
///     insta::assert_snapshot!(simple_sourcing::expansion!("src/domain.rs", AccountCommand));
/// }
/// ```
///
/// And to look at something once:
///
/// ```
/// # use simple_sourcing_derive::expansion;
/// let code = expansion! {
///     #[aggregate(command = AccountCommand)]
///     pub struct Account {
///         owner: String,
///     }
/// };
/// println!("{code}");
/// assert!(code.ends_with(
///     "
/// #[automatically_derived]
/// impl ::simple_sourcing::__private::Aggregate for Account {
///     type Command = AccountCommand;
///     const DESCRIPTION: &'static [&'static str] = &[\"state: Account { owner: String }\"];
/// }
/// "
/// ));
/// ```
///
/// It is the code of this framework alone: the derives that the macros add stand in it as derives. Of two items of one name
/// in a file it takes the first, and it does not resolve `#[cfg]`.
#[proc_macro]
pub fn expansion(input: TokenStream) -> TokenStream {
    expansion::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
