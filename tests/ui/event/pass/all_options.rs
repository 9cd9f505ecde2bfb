//! All options and helper attributes of `#[event]`.
use simple_sourcing::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub struct Number(u64);

#[event(key = Number, name = "orders.v1", applier = Apply, projector = Project, manual(Debug), crate = "::simple_sourcing")]
#[serde(rename_all = "snake_case")]
#[derive(Eq)]
pub enum OrderEvent {
    /// It was placed.
    #[create]
    Placed(String, u8),
    #[serde(rename = "MOVED", alias = "moved")]
    Moved { meta: u8, r#type: u8 },
    #[deprecated]
    Old { what: Option<Box<Self>> },
    #[cfg(any())]
    Never(Missing),
    #[delete]
    Cancelled,
}

impl std::fmt::Debug for OrderEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OrderEvent")
    }
}

fn main() {
    use simple_sourcing::Event;
    let names: Vec<&str> = OrderEvent::VARIANTS.iter().map(|variant| variant.name).collect();
    assert_eq!((OrderEvent::AGGREGATE, names), ("orders.v1", vec!["placed", "MOVED", "old", "cancelled"]));
    assert_eq!(format!("{:?}", OrderEvent::Cancelled), "OrderEvent");
}
