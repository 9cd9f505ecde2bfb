//! A contract with every word of serde that the macros know, and types of every kind.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use simple_sourcing::{Position, Receipt, prelude::*};
use uuid::Uuid;

/// A number that is written by hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Key)]
pub struct Number(pub u64);

/// It has no `Described`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unknown;

/// An amount.
///
/// In a currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Money {
    /// How many cents.
    pub in_cents: i64,
    #[serde(rename = "CURRENCY", alias = "cur", alias = "ccy")]
    pub currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default = "one")]
    pub rate: f64,
    #[serde(skip)]
    pub cache: u8,
}

pub fn one() -> f64 {
    1.0
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    Eur,
    #[serde(alias = "$")]
    Usd,
    #[serde(skip_deserializing)]
    Old,
    #[serde(other)]
    Unknown,
}

/// A tree, which contains itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(default)]
pub struct Tree {
    pub name: String,
    pub children: Vec<Tree>,
    pub parent: Option<Box<Tree>>,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { name: "root".to_owned(), children: Vec::new(), parent: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(tag = "kind", content = "of")]
pub enum Payment {
    Cash,
    Card { number: String },
    Both(Money, Money),
    One(Money),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(untagged)]
pub enum Id {
    Number(u64),
    Text(String),
    Pair { left: u8, right: u8 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(tag = "type", rename = "Note")]
pub struct Tagged {
    pub text: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(transparent)]
pub struct Wrapper {
    pub inner: Uuid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(into = "(u8, u8)", try_from = "(u8, u8)")]
pub struct Pair {
    left: u8,
    right: u8,
}

impl From<Pair> for (u8, u8) {
    fn from(Pair { left, right }: Pair) -> Self {
        (left, right)
    }
}

impl TryFrom<(u8, u8)> for Pair {
    type Error = String;

    fn try_from((left, right): (u8, u8)) -> Result<Self, String> {
        Ok(Pair { left, right })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
pub struct Page<T, const N: usize> {
    pub items: Vec<T>,
    pub sizes: [u8; 2],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
pub struct Flat {
    pub id: u32,
    #[serde(flatten)]
    pub money: Money,
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
pub struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
pub struct Known(
    pub BTreeMap<u16, BTreeSet<char>>,
    pub Duration,
    pub SystemTime,
    pub PathBuf,
    pub IpAddr,
    pub (bool, ()),
    pub CommandId,
    pub Sequence,
    pub Timestamp,
    pub Position,
    pub Receipt,
    pub std::ops::Range<i8>,
);

/// In tenths, as a number.
pub mod tenths {
    use super::Unknown;

    pub fn serialize<S: serde::Serializer>(_: &Unknown, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(10)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Unknown, D::Error> {
        <u8 as serde::Deserialize>::deserialize(from).map(|_| Unknown)
    }
}

/// What has happened.
#[event(key = Number, name = "things.v1")]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ThingEvent {
    /// It is there.
    ///
    /// For the first time.
    #[create]
    FirstMade {
        /// Whose it is.
        owned_by: String,
        money: Money,
        tree: Tree,
    },
    #[serde(rename = "PAID", alias = "payed")]
    Paid {
        payment: Payment,
        id: Id,
        pair: Pair,
        wrapped: Wrapper,
    },
    Listed {
        page: Page<Money, 2>,
        other: Page<Option<Unit>, 1>,
        flat: Flat,
        tagged: Tagged,
    },
    #[cfg(any())]
    Left {
        out: Missing,
    },
    Odd {
        unknown: Unknown,
        maybe: Option<Vec<Unknown>>,
        #[serde(with = "tenths")]
        custom: Unknown,
        #[cfg(any())]
        out: Missing,
    },
    Known(Box<Everything>),
    #[delete]
    Gone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
pub struct Everything {
    pub known: Known,
}

/// Why not.
#[derive(Debug, Serialize, Deserialize, thiserror::Error, Described)]
pub enum ThingError {
    #[error("no")]
    No,
    #[error("too little: {0}")]
    TooLittle(u64),
}

#[command(event = ThingEvent, error = ThingError)]
pub enum ThingCommand {
    /// Makes it.
    #[create]
    Make {
        owner: String,
    },
    #[upsert]
    #[context]
    PutTwo(u8, u8),
    Remove,
}

#[aggregate(command = ThingCommand, manual(PartialEq))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct Thing {
    owned_by: String,
    #[serde(skip_serializing, default)]
    page: u8,
    #[serde(skip)]
    lines: Vec<Unknown>,
}

impl PartialEq for Thing {
    fn eq(&self, other: &Self) -> bool {
        self.owned_by == other.owned_by
    }
}

impl ThingHandler for Thing {
    fn make(_: String) -> Decision<Self> {
        reject(ThingError::No)
    }

    fn put_two(_: Option<&Self>, _: &Context<Number>, one: u8, other: u8) -> Decision<Self> {
        reject(ThingError::TooLittle(u64::from(one.max(other))))
    }

    fn remove(&self) -> Decision<Self> {
        emit(ThingEvent::Gone)
    }
}

impl ThingApplier for Thing {
    fn first_made(owned_by: String, _: Money, _: Tree) -> Self {
        Thing { owned_by, page: 0, lines: Vec::new() }
    }

    fn paid(&mut self, _: Payment, _: Id, _: Pair, _: Wrapper) {}

    fn listed(&mut self, _: Page<Money, 2>, _: Page<Option<Unit>, 1>, _: Flat, _: Tagged) {}

    fn odd(&mut self, _: Unknown, _: Option<Vec<Unknown>>, _: Unknown) {}

    fn known(&mut self, _: Box<Everything>) {}
}
