//! Contracts as data: what the macros know of an aggregate, its events, its commands and the types in them.
//!
//! [`schema`](crate::schema()) gives a [`Schema`], from which everything that is told of a contract can be rendered. It has
//! the types that the contract uses, each once, by name; types refer to each other by [`TypeRef`].
//!
//! What a type looks like is said by [`Described`]. `#[event]`, `#[command]` and `#[aggregate]` implement it, so does
//! `#[derive(Described)]` for the types of their fields. A type without it is [`TypeRef::Opaque`]: nothing fails, and
//! [`Schema::opaque`] lists where such types are used.
//!
//! ```
//! use simple_sourcing::{prelude::*, schema::TypeRef};
//! # #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
//! # #[error("no")]
//! # pub struct Never;
//! # impl AccountHandler for Account {
//! #     fn open(_: Money) -> Decision<Self> { reject(Never) }
//! # }
//! # impl AccountApplier for Account {
//! #     fn opened(balance: Money) -> Self { Account { balance } }
//! # }
//!
//! /// An amount in a currency.
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
//! pub struct Money {
//!     cents: u64,
//!     currency: String,
//! }
//!
//! #[event(key = String)]
//! pub enum AccountEvent {
//!     #[create]
//!     Opened { with: Money },
//! }
//!
//! #[command(event = AccountEvent, error = Never)]
//! pub enum AccountCommand {
//!     #[create]
//!     Open { with: Money },
//! }
//!
//! #[aggregate(command = AccountCommand)]
//! pub struct Account {
//!     balance: Money,
//! }
//!
//! let schema = simple_sourcing::schema::<Account>();
//! assert_eq!(schema.types.keys().collect::<Vec<_>>(), ["Account", "AccountCommand", "AccountEvent", "Money"]);
//! assert_eq!(schema.types["Money"].docs, "An amount in a currency.");
//! assert_eq!(schema.opaque()[0].places, ["the error of AccountCommand"]);
//! ```
//!
//! | what is written | how it is found |
//! |---|---|
//! | an event, a command, the state | [`Schema::event`], [`Schema::command`], [`Schema::state`] |
//! | another name than in the source | `wire_name` of types, variants and fields; what is read besides, `read_names` |
//! | nothing | `is_written` and `is_read` of variants and fields; `is_compiled` of what `#[cfg]` leaves out |
//! | something else than the declaration says | [`TypeSchema::written`], [`TypeSchema::read`], `written_by` and `read_by` |

#[cfg(feature = "chrono")]
mod chrono_types;
mod contract;
mod data;
#[doc(hidden)]
pub mod declared;
mod registry;
mod std_types;
#[cfg(feature = "time")]
mod time_types;
mod values;

pub use contract::{OpaqueType, Schema};
pub use data::{
    DefaultValue, EnumSchema, Field, Form, Shape, StructSchema, Style, Tagging, Text, TextFormat, TypeRef, TypeRole,
    TypeSchema, TypeUse, Variant, VariantRole,
};
pub use registry::{Described, Registry};
