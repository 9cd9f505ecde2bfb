//! The values of this crate that may stand in a contract, and those of crates that it uses.

use std::collections::BTreeMap;

use super::{
    data::{DefaultValue, Field, TextFormat, TypeRef},
    registry::{Described, Registry},
    std_types::{described, field, structure, written_as},
};
use crate::model::{CommandId, Cursor, Position, Receipt, Sequence, Timestamp};

described! {
    uuid::Uuid, CommandId => TypeRef::Text(TextFormat::Uuid);
    serde_json::Value => TypeRef::Any;
}

written_as! {
    Sequence => u64;
    Timestamp => u64;
    Cursor => BTreeMap<u32, u64>;
    bytes::Bytes => [u8];
}

impl Described for Position {
    fn describe(registry: &mut Registry) -> TypeRef {
        registry.named::<Self>("Position", |registry| {
            structure(
                "Position",
                vec![field::<u32>("partition", "u32", registry), field::<u64>("offset", "u64", registry)],
            )
        })
    }
}

impl Described for Receipt {
    fn describe(registry: &mut Registry) -> TypeRef {
        registry.named::<Self>("Receipt", |registry| {
            let unchanged = field::<bool>("unchanged", "bool", registry);
            let fields = vec![
                field::<str>("aggregate", "Cow<'static, str>", registry),
                field::<CommandId>("command_id", "CommandId", registry),
                field::<Sequence>("sequence", "Sequence", registry),
                field::<Position>("position", "Position", registry),
                Field { default: DefaultValue::OfType, ..unchanged },
            ];
            structure("Receipt", fields)
        })
    }
}
