//! Tables of parcels, whose state has each kind of value.

mod columns;
mod rows;

use std::collections::BTreeMap;

use super::{Table, TableRows};
use crate::{prelude::*, projection::InMemory};

/// Where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
struct Place {
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zip: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
enum Stage {
    Packed,
    Sent { to: Place, days: u8 },
    Lost(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(rename_all = "camelCase")]
enum Size {
    Small,
    #[serde(rename = "XL")]
    Large,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(tag = "kind")]
enum Payment {
    Cash { amount: u64 },
    Card { amount: u64, number: String },
    None,
}

/// It contains itself, with nothing in between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(untagged)]
enum Nested {
    Number(u8),
    Again(Box<Nested>),
}

/// Nothing is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opaque(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
struct More {
    note: Option<String>,
    #[serde(rename = "a/b~c")]
    odd: bool,
}

#[event(key = String)]
enum ParcelEvent {
    #[create]
    Registered,
    Weighed {
        grams: u64,
    },
    #[delete]
    Delivered,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
struct Never;

#[command(event = ParcelEvent, error = Never)]
enum ParcelCommand {
    #[upsert]
    Weigh {
        grams: u64,
    },
    Deliver,
}

#[aggregate(command = ParcelCommand)]
struct Parcel {
    grams: u64,
    floor: i32,
    share: f32,
    fragile: bool,
    sender: Place,
    stage: Stage,
    size: Size,
    payment: Payment,
    nested: Nested,
    tags: Vec<String>,
    pair: (u8, String),
    corners: [u16; 2],
    counts: BTreeMap<String, u64>,
    id: uuid::Uuid,
    due: Option<Timestamp>,
    opaque: Opaque,
    any: Option<u128>,
    nothing: (),
    #[serde(flatten)]
    more: More,
    #[serde(skip)]
    cache: (),
}

impl ParcelHandler for Parcel {
    fn weigh(state: Option<&Self>, grams: u64) -> Decision<Self> {
        match state {
            Some(_) => emit(ParcelEvent::Weighed { grams }),
            None => emit(Events::new(ParcelEvent::Registered).and([ParcelEvent::Weighed { grams }])),
        }
    }

    fn deliver(&self) -> Decision<Self> {
        emit(ParcelEvent::Delivered)
    }
}

impl ParcelApplier for Parcel {
    fn registered() -> Self {
        Parcel {
            grams: 0,
            floor: -1,
            share: 0.1,
            fragile: true,
            sender: Place { city: "Ulm".to_owned(), zip: None },
            stage: Stage::Sent { to: Place { city: "Bern".to_owned(), zip: Some(3000) }, days: 2 },
            size: Size::Large,
            payment: Payment::Cash { amount: 7 },
            nested: Nested::Number(1),
            tags: vec!["new".to_owned()],
            pair: (1, "one".to_owned()),
            corners: [3, 4],
            counts: BTreeMap::new(),
            id: uuid::Uuid::nil(),
            due: None,
            opaque: Opaque(7),
            any: None,
            nothing: (),
            more: More { note: None, odd: true },
            cache: (),
        }
    }

    fn weighed(&mut self, grams: u64) {
        self.grams += grams;
    }
}

type Store = InMemory<TableRows<Parcel>>;

fn table() -> Table<Parcel> {
    Table::new("parcels")
}
