//! An order, from its first item to the parcel: an aggregate that is an enum, with a variant for each state of its life.
//!
//! ```text
//!           add item
//!             ┌──┐
//!  add item  ┌▼──┴───┐   place    ┌────────┐    ship    ┌─────────┐
//! ──────────▶│ Draft │───────────▶│ Placed │───────────▶│ Shipped │
//!            └───┬───┘            └───┬────┘            └─────────┘
//!         cancel │                    │ cancel, for an hour
//!                ▼                    ▼
//!            no order           ┌───────────┐
//!                               │ Cancelled │
//!                               └───────────┘
//! ```
//!
//! Each command names the states that allow it. In every other one it is rejected with what the order is instead.

use std::{mem, time::Duration};

use simple_sourcing::prelude::*;

// ---- contract: may live in a crate shared by the service and its clients ------------------------------------
/// Names an order: a type of its own, so that no other number is taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Key)]
pub struct OrderId(pub u64);

/// What has happened to an order.
#[event(key = OrderId, name = "shop-order")]
#[serde(rename_all = "snake_case")]
pub enum OrderEvent {
    #[create] Drafted,
    ItemAdded { item: String },
    Placed { at: Timestamp },
    Shipped { tracking: String },
    Cancelled,
    #[delete] Discarded,
}

/// What a customer, or the warehouse, may ask of an order.
#[command(event = OrderEvent, error = OrderError)]
#[serde(rename_all = "snake_case")]
pub enum OrderCommand {
    /// Adds to a draft, and begins one where there is no order.
    #[upsert] AddItem { item: String },
    #[context] Place,
    Ship { tracking: String },
    /// Discards a draft, or cancels what was placed within the last hour.
    #[context] Cancel,
}

/// What an order is where it would have to be something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum OrderError {
    #[error("the order is not placed yet")]
    NotPlaced,
    #[error("the order was placed already")]
    AlreadyPlaced,
    #[error("the order was placed more than an hour ago")]
    PlacedLongAgo,
    #[error("the order was shipped already, as parcel {tracking}")]
    AlreadyShipped { tracking: String },
    #[error("the order was cancelled")]
    AlreadyCancelled,
}

// ---- service ---------------------------------------------------------------------------------------------------
/// How long a customer may think again.
const CANCEL_WITHIN: Duration = Duration::from_secs(60 * 60);

/// A state has what its rules and its readers need; all else is in the events.
#[aggregate(command = OrderCommand)]
pub enum Order {
    Draft { items: Vec<String> },
    Placed { items: Vec<String>, at: Timestamp },
    Shipped { tracking: String },
    Cancelled,
}

impl OrderHandler for Order {
    fn add_item(order: Option<&Self>, item: String) -> Decision<Self> {
        match order {
            None => emit([OrderEvent::Drafted, OrderEvent::ItemAdded { item }]),
            Some(Order::Draft { .. }) => emit(OrderEvent::ItemAdded { item }),
            Some(other) => reject(other.refusal()),
        }
    }
    fn place(&self, context: &Context<OrderId>) -> Decision<Self> {
        match self {
            Order::Draft { .. } => emit(OrderEvent::Placed { at: context.time() }),
            other => reject(other.refusal()),
        }
    }
    fn ship(&self, tracking: String) -> Decision<Self> {
        match self {
            Order::Placed { .. } => emit(OrderEvent::Shipped { tracking }),
            other => reject(other.refusal()),
        }
    }
    fn cancel(&self, context: &Context<OrderId>) -> Decision<Self> {
        match self {
            Order::Draft { .. } => emit(OrderEvent::Discarded),
            Order::Placed { at, .. } => {
                ensure!(context.time().since(*at) <= CANCEL_WITHIN, OrderError::PlacedLongAgo);
                emit(OrderEvent::Cancelled)
            }
            other => reject(other.refusal()),
        }
    }
}

impl OrderApplier for Order {
    fn drafted() -> Self { Order::Draft { items: Vec::new() } }
    fn item_added(&mut self, item: String) { self.draft().push(item) }
    fn placed(&mut self, at: Timestamp) { *self = Order::Placed { items: mem::take(self.draft()), at } }
    fn shipped(&mut self, tracking: String) { *self = Order::Shipped { tracking } }
    fn cancelled(&mut self) { *self = Order::Cancelled }
}

impl Order {
    /// How an order refuses what its state does not allow.
    fn refusal(&self) -> OrderError {
        match self {
            Order::Draft { .. } => OrderError::NotPlaced,
            Order::Placed { .. } => OrderError::AlreadyPlaced,
            Order::Shipped { tracking } => OrderError::AlreadyShipped { tracking: tracking.clone() },
            Order::Cancelled => OrderError::AlreadyCancelled,
        }
    }

    /// The items of a draft. An event that finds no draft here would be a handler's mistake: its command fails, and
    /// nothing is written.
    fn draft(&mut self) -> &mut Vec<String> {
        match self {
            Order::Draft { items } => items,
            other => unreachable!("only a draft is changed, not {other:?}"),
        }
    }
}
