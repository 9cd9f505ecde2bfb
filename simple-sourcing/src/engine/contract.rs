//! The commands of an aggregate type, by name and as JSON.

use std::{marker::PhantomData, sync::OnceLock};

use serde_json::Value;

use super::{
    typed::guard,
    unread_fields::{Given, listed},
};
use crate::{
    codec::{Codecs, Payload, Role},
    describe::schema_of_contract,
    model::{
        Command, CommandVariant, Event, Key,
        schema::{EnumSchema, Schema, Shape, Variant},
    },
};

/// Encodes a command, which must be read back unchanged: the service must read what was meant.
///
/// # Errors
/// Why it is invalid.
pub(crate) fn encode<C: Command>(codecs: &Codecs, command: &C) -> Result<Payload, String> {
    let name = command.name();
    let payload =
        codecs.encode(Role::Commands, command).map_err(|reason| format!("`{name}` can't be encoded: {reason}"))?;
    if !codecs.is_exact(C::EXACT) {
        codecs.read_back(Role::Commands, command, &payload).map_err(|reason| format!("`{name}` {reason}"))?;
    }
    Ok(payload)
}

/// The contract of an aggregate type, for those who know no more of it than its name.
pub(crate) trait AnyContract: Send + Sync {
    /// The commands in the order of their declaration.
    fn variants(&self) -> &'static [CommandVariant];

    /// What is known of the contract. It has no state.
    fn schema(&self) -> &Schema;

    /// Whether this is the text of a key. The error says why not.
    fn check_key(&self, key: &str) -> Result<(), String>;

    /// Encodes the command of this name as a typed client would. The error says why it is invalid.
    fn encode(&self, codecs: &Codecs, command: &str, fields: Value) -> Result<(&'static str, Payload), String>;
}

/// The one implementation of [`AnyContract`].
pub(crate) struct TypedContract<C> {
    schema: OnceLock<Schema>,
    command: PhantomData<fn() -> C>,
}

impl<C> TypedContract<C> {
    pub(crate) fn new() -> Self {
        TypedContract { schema: OnceLock::new(), command: PhantomData }
    }
}

impl<C: Command> AnyContract for TypedContract<C> {
    fn variants(&self) -> &'static [CommandVariant] {
        C::VARIANTS
    }

    fn schema(&self) -> &Schema {
        self.schema.get_or_init(schema_of_contract::<C>)
    }

    fn check_key(&self, key: &str) -> Result<(), String> {
        let parsed = guard(|| {
            let parsed = <C::Event as Event>::Key::from_text(key).map_err(|error| error.to_string())?;
            Ok(parsed.into_text())
        });
        // A second text of a key would be a second aggregate, perhaps in another partition.
        match parsed.map_err(|reason| format!("its key can't be read: {reason}"))? {
            canonical if canonical == key => Ok(()),
            canonical => Err(format!("its key `{key}` is written `{canonical}`")),
        }
    }

    fn encode(&self, codecs: &Codecs, command: &str, fields: Value) -> Result<(&'static str, Payload), String> {
        let (of, variant) = self.find(command)?;
        let given = Given::new(&of.tagging, variant, fields)?;
        let command: C = given.decode()?;
        if command.name() != variant.wire_name {
            return Err(format!("`{}` is read as `{}`", variant.wire_name, command.name()));
        }
        given.check(&command, self.schema())?;
        let payload = guard(|| encode(codecs, &command))?;
        Ok((command.name(), payload))
    }
}

impl<C: Command> TypedContract<C> {
    /// The variant that is read under this name.
    fn find(&self, name: &str) -> Result<(&EnumSchema, &Variant), String> {
        let schema = self.schema();
        let unknown = || {
            let names = listed(C::VARIANTS.iter().map(|variant| variant.name));
            format!("aggregate `{}` has no command `{name}`; its commands are {names}", C::Event::AGGREGATE)
        };
        let Some(Shape::Enum(of)) = schema.get(&schema.command).map(|command| &command.shape) else {
            return Err(unknown());
        };
        let mut variants = of.variants.iter().filter(|variant| variant.is_compiled && variant.is_read);
        let found = variants.find(|variant| variant.read_names.iter().any(|read| read == name));
        found.map(|variant| (of, variant)).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::prelude::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
    #[error("no")]
    struct No;

    #[event(key = u32)]
    enum DoorEvent {
        #[create]
        Hung,
    }

    /// Nothing is known of it.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Lock {
        #[serde(skip_serializing_if = "Option::is_none")]
        keys: Option<u32>,
        #[serde(alias = "colour", skip_serializing_if = "String::is_empty")]
        color: String,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
    struct Size {
        width: u32,
        #[serde(default, alias = "tall", skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Part {
        Knob,
        Hinge { screws: u32, bolts: Option<u32> },
    }

    #[command(event = DoorEvent, error = No)]
    #[serde(rename_all = "kebab-case")]
    enum DoorCommand {
        #[create]
        Hang {
            size: Size,
            #[serde(default)]
            locks: Vec<Lock>,
            #[serde(default)]
            labels: BTreeMap<u32, Size>,
        },
        Paint {
            #[serde(rename = "paintColor", alias = "color")]
            with: String,
            #[serde(default)]
            coats: u8,
        },
        Fit {
            #[serde(flatten)]
            size: Size,
            #[serde(flatten)]
            lock: Lock,
        },
        #[serde(alias = "note-down")]
        Note(Size),
        Swap(u8, Size),
        Open,
        Assemble {
            parts: Vec<Part>,
        },
    }

    #[event(key = String)]
    enum GateEvent {
        #[create]
        Built,
    }

    #[command(event = GateEvent, error = No)]
    #[serde(tag = "type")]
    enum GateCommand {
        #[create]
        Build {
            width: u32,
            lock: Option<Lock>,
        },
        Shut,
    }

    #[event(key = String)]
    enum FenceEvent {
        #[create]
        Built,
    }

    #[command(event = FenceEvent, error = No)]
    #[serde(tag = "t", content = "a")]
    enum FenceCommand {
        #[create]
        Build {
            size: Size,
        },
        Mend(u8),
        Shut,
    }

    fn encoded<C: Command>(name: &str, fields: Value) -> Result<String, String> {
        let (_, payload) = TypedContract::<C>::new().encode(&Codecs::new(C::Event::AGGREGATE), name, fields)?;
        Ok(String::from_utf8(payload.bytes.to_vec()).unwrap())
    }

    fn typed<C: Command>(command: &C) -> Result<String, String> {
        let payload = encode(&Codecs::new(C::Event::AGGREGATE), command)?;
        Ok(String::from_utf8(payload.bytes.to_vec()).unwrap())
    }

    fn size(width: u32) -> Size {
        Size { width, height: None }
    }

    #[test]
    fn the_bytes_are_those_of_a_typed_command() {
        let hang = |size, locks, labels| DoorCommand::Hang { size, locks, labels };
        let red = Lock { keys: None, color: "red".to_owned() };
        let knobs = vec![Part::Hinge { screws: 3, bolts: None }, Part::Knob];
        let commands = [
            ("hang", json!({"size": {"width": 1}}), hang(size(1), vec![], BTreeMap::new())),
            (
                "hang",
                json!({"size": {"width": 1, "height": null}, "locks": [{"colour": "red", "keys": null}, {"color": ""}],
                       "labels": {"7": {"width": 2, "tall": null}}}),
                hang(size(1), vec![red.clone(), Lock::default()], [(7, size(2))].into()),
            ),
            ("paint", json!({"color": "red"}), DoorCommand::Paint { with: "red".to_owned(), coats: 0 }),
            (
                "paint",
                json!({"paintColor": "red", "coats": 2}),
                DoorCommand::Paint { with: "red".to_owned(), coats: 2 },
            ),
            (
                "fit",
                json!({"width": 1, "tall": 2, "color": "red"}),
                DoorCommand::Fit { size: Size { width: 1, height: Some(2) }, lock: red },
            ),
            ("fit", json!({"width": 1, "keys": null}), DoorCommand::Fit { size: size(1), lock: Lock::default() }),
            ("note", json!({"width": 1}), DoorCommand::Note(size(1))),
            ("note-down", json!({"width": 1}), DoorCommand::Note(size(1))),
            ("swap", json!([3, {"width": 1, "height": null}]), DoorCommand::Swap(3, size(1))),
            ("open", Value::Null, DoorCommand::Open),
            ("open", json!({}), DoorCommand::Open),
            (
                "assemble",
                json!({"parts": [{"kind": "Hinge", "screws": 3, "bolts": null}, {"kind": "Knob"}]}),
                DoorCommand::Assemble { parts: knobs },
            ),
        ];
        for (name, fields, command) in commands {
            assert_eq!(encoded::<DoorCommand>(name, fields.clone()), typed(&command), "{name} {fields}");
        }
        let gates = [
            (
                "Build",
                json!({"width": 1, "lock": {"keys": null}}),
                GateCommand::Build { width: 1, lock: Some(Lock::default()) },
            ),
            ("Shut", json!({}), GateCommand::Shut),
            ("Shut", Value::Null, GateCommand::Shut),
        ];
        for (name, fields, command) in gates {
            assert_eq!(encoded::<GateCommand>(name, fields.clone()), typed(&command), "{name} {fields}");
        }
        let fences = [
            ("Build", json!({"size": {"width": 1, "height": null}}), FenceCommand::Build { size: size(1) }),
            ("Mend", json!(3), FenceCommand::Mend(3)),
            ("Shut", json!({}), FenceCommand::Shut),
        ];
        for (name, fields, command) in fences {
            assert_eq!(encoded::<FenceCommand>(name, fields.clone()), typed(&command), "{name} {fields}");
        }
    }

    #[test]
    fn a_field_that_nobody_reads_is_named() {
        let cases = [
            (
                "hang",
                json!({"size": {"width": 1}, "lokcs": []}),
                "`hang` has no field `lokcs`; its fields are `size`, `locks`, `labels`",
            ),
            (
                "hang",
                json!({"size": {"width": 1, "hieght": 2}}),
                "`hang.size` has no field `hieght`; its fields are `width`, `height`",
            ),
            ("hang", json!({"size": {"width": 1, "hieght": null}}), "`hang.size` has no field `hieght`"),
            ("hang", json!({"size": {"width": 1}, "locks": [{}, {"kyes": 2}]}), "`hang.locks.1` has no field `kyes`"),
            (
                "hang",
                json!({"size": {"width": 1}, "labels": {"7": {"width": 2, "x": 1}}}),
                "`hang.labels.7` has no field `x`",
            ),
            (
                "paint",
                json!({"with": "red", "color": "red"}),
                "`paint` has no field `with`; its fields are `paintColor`, `coats`",
            ),
            ("fit", json!({"width": 1, "colr": "red"}), "`fit` has no field `colr`"),
            ("note", json!({"width": 1, "a/b~c": "red"}), "`note` has no field `a/b~c`"),
            ("swap", json!([3, {"width": 1, "x": null}]), "`swap.1` has no field `x`"),
            ("open", json!({"wide": true}), "`open` has no fields"),
            ("assemble", json!({"parts": [{"kind": "Knob", "screws": 3}]}), "`assemble.parts.0` has no field `screws`"),
        ];
        for (name, fields, expected) in cases {
            let error = encoded::<DoorCommand>(name, fields).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let gates = [
            ("Build", json!({"width": 1, "wide": 1}), "`Build` has no field `wide`; its fields are `width`, `lock`"),
            ("Build", json!({"width": 1, "lock": {"kyes": 1}}), "`Build.lock` has no field `kyes`"),
            ("Shut", json!({"wide": 1}), "`Shut` has no fields"),
            ("Build", json!({"width": 1, "type": "Shut"}), "`Build` has no field `type`"),
            ("Build", json!([1]), "the fields of `Build` must be an object"),
        ];
        for (name, fields, expected) in gates {
            let error = encoded::<GateCommand>(name, fields).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = encoded::<FenceCommand>("Build", json!({"size": {"width": 1, "x": 1}})).unwrap_err();
        assert!(error.starts_with("`Build.size` has no field `x`"), "{error}");
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named_with_what_was_expected() {
        let cases = [
            ("hang", json!({"size": {"width": "1"}}), "`hang.size.width`: invalid type: string \"1\", expected u32"),
            ("hang", json!({}), "`hang`: missing field `size`"),
            ("paint", Value::Null, "`paint`: missing field `paintColor`"),
            ("paint", json!({"color": "red", "paintColor": "red"}), "`paint.color`: duplicate field `paintColor`"),
            ("fit", json!({"width": "1"}), "`fit.width`: invalid type: string \"1\", expected u32"),
            ("swap", json!([3]), "`swap`: invalid length 1"),
        ];
        for (name, fields, expected) in cases {
            let error = encoded::<DoorCommand>(name, fields).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = encoded::<GateCommand>("Build", json!({"lock": null, "width": -1})).unwrap_err();
        assert!(error.starts_with("`Build.width`: invalid value: integer `-1`, expected u32"), "{error}");
        let error = encoded::<FenceCommand>("Mend", json!({"x": 1})).unwrap_err();
        assert!(error.starts_with("`Mend`: invalid type: map, expected u8"), "{error}");
        let error = encoded::<FenceCommand>("Build", json!({"size": {"width": true}})).unwrap_err();
        assert!(error.starts_with("`Build.size.width`: invalid type: boolean `true`, expected u32"), "{error}");
    }

    #[test]
    fn an_unknown_command_is_told_which_there_are() {
        for name in ["Hang", "", "open\n"] {
            let error = encoded::<DoorCommand>(name, Value::Null).unwrap_err();
            let commands = "its commands are `hang`, `paint`, `fit`, `note`, `swap`, `open`, `assemble`";
            assert_eq!(error, format!("aggregate `door` has no command `{name}`; {commands}"));
        }
    }

    #[test]
    fn so_many_fields_of_an_unknown_type_may_be_left_out_of_what_is_written() {
        let locks = |count| json!({"size": {"width": 1}, "locks": vec![json!({"keys": null}); count]});
        assert!(encoded::<DoorCommand>("hang", locks(100)).is_ok());
        let error = encoded::<DoorCommand>("hang", locks(101)).unwrap_err();
        assert!(error.contains("more than 100 fields like `hang.locks.100.keys`"), "{error}");
        let labels: serde_json::Map<_, _> =
            (0..1000).map(|n: u32| (n.to_string(), json!({"width": n, "height": null}))).collect();
        assert!(encoded::<DoorCommand>("hang", json!({"size": {"width": 1}, "labels": labels})).is_ok());
    }

    #[test]
    fn a_key_has_one_text() {
        let doors = TypedContract::<DoorCommand>::new();
        assert_eq!(doors.check_key("7"), Ok(()));
        for (key, expected) in [("07", "it is written `7`"), ("seven", "not a key of type u32"), ("", "not a key")] {
            let error = doors.check_key(key).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(TypedContract::<GateCommand>::new().check_key(""), Ok(()));
    }
}
