//! The words of the attributes: each word that the macros know is a constant here, and only here.

/// `#[event]`, and the option of `#[command]` that names the events.
pub(crate) const EVENT: &str = "event";
/// `#[command]`, and the option of `#[aggregate]` that names the commands.
pub(crate) const COMMAND: &str = "command";
/// `#[aggregate]`.
pub(crate) const AGGREGATE: &str = "aggregate";

/// The type of the key; also the helper attribute of `#[derive(Key)]`.
pub(crate) const KEY: &str = "key";
/// `#[derive(Key)]`.
pub(crate) const KEY_DERIVE: &str = "Key";
/// The helper attribute of `#[derive(Described)]`.
pub(crate) const DESCRIBED: &str = "described";
/// `#[derive(Described)]`.
pub(crate) const DESCRIBED_DERIVE: &str = "Described";
/// The wire name of the aggregate.
pub(crate) const NAME: &str = "name";
/// The name of the generated applier trait.
pub(crate) const APPLIER: &str = "applier";
/// The name of the generated projector trait.
pub(crate) const PROJECTOR: &str = "projector";
/// The name of the generated projection trait; also `#[projection]`.
pub(crate) const PROJECTION: &str = "projection";
/// The event enums of a `#[projection]`.
pub(crate) const EVENTS: &str = "events";
/// The version of a `#[projection]`.
pub(crate) const VERSION: &str = "version";
/// The error with which commands are rejected.
pub(crate) const ERROR: &str = "error";
/// The name of the generated handler trait.
pub(crate) const HANDLER: &str = "handler";
/// The name of the generated client.
pub(crate) const CLIENT: &str = "client";
/// The path of the framework.
pub(crate) const CRATE: &str = "crate";
/// The derives that the user writes by hand.
pub(crate) const MANUAL: &str = "manual";
/// The item is in a `#![no_implicit_prelude]` module.
pub(crate) const NO_IMPLICIT_PRELUDE: &str = "no_implicit_prelude";
/// Handlers take the context: an option (all of them) and a helper attribute (this one).
pub(crate) const CONTEXT: &str = "context";

/// A command for which the aggregate must not exist, or an event that creates the state.
pub(crate) const CREATE: &str = "create";
/// A command for which the aggregate may or may not exist.
pub(crate) const UPSERT: &str = "upsert";
/// An event that removes the state.
pub(crate) const DELETE: &str = "delete";

/// The options of each macro, in the order in which messages list them.
pub(crate) const EVENT_OPTIONS: &[&str] =
    &[KEY, NAME, APPLIER, PROJECTOR, PROJECTION, MANUAL, NO_IMPLICIT_PRELUDE, CRATE];
pub(crate) const COMMAND_OPTIONS: &[&str] =
    &[EVENT, ERROR, CONTEXT, HANDLER, CLIENT, MANUAL, NO_IMPLICIT_PRELUDE, CRATE];
pub(crate) const AGGREGATE_OPTIONS: &[&str] = &[COMMAND, MANUAL, CRATE];
pub(crate) const PROJECTION_OPTIONS: &[&str] = &[EVENTS, VERSION, NAME, CRATE];
pub(crate) const DERIVE_OPTIONS: &[&str] = &[CRATE];

/// The helper attributes of each macro's variants.
pub(crate) const EVENT_HELPERS: &[&str] = &[CREATE, DELETE];
pub(crate) const COMMAND_HELPERS: &[&str] = &[CREATE, UPSERT, CONTEXT];
/// All of them: one in the wrong place is still recognized.
pub(crate) const HELPERS: &[&str] = &[CREATE, DELETE, UPSERT, CONTEXT];

/// Types that can be read back only if their contents can. In other types a reference may be right, as in
/// `PhantomData<&'static T>`.
pub(crate) const CONTAINERS: &[&str] = &["Option", "Vec", "Box", "Rc", "Arc"];

/// The derives that the macros add.
pub(crate) const DERIVES: &[&str] = &[DEBUG, CLONE, PARTIAL_EQ, SERIALIZE_DERIVE, DESERIALIZE_DERIVE];
pub(crate) const DEBUG: &str = "Debug";
pub(crate) const CLONE: &str = "Clone";
pub(crate) const PARTIAL_EQ: &str = "PartialEq";
pub(crate) const SERIALIZE_DERIVE: &str = "Serialize";
pub(crate) const DESERIALIZE_DERIVE: &str = "Deserialize";

/// Attributes of the language and of serde that the macros read.
pub(crate) const DOC: &str = "doc";
pub(crate) const CFG: &str = "cfg";
pub(crate) const CFG_ATTR: &str = "cfg_attr";
pub(crate) const DEPRECATED: &str = "deprecated";
pub(crate) const DERIVE: &str = "derive";
pub(crate) const ALLOW: &str = "allow";
pub(crate) const EXPECT: &str = "expect";
pub(crate) const WARN: &str = "warn";
pub(crate) const DENY: &str = "deny";
pub(crate) const FORBID: &str = "forbid";
pub(crate) const SERDE: &str = "serde";
pub(crate) const RENAME: &str = "rename";
pub(crate) const RENAME_ALL: &str = "rename_all";
pub(crate) const RENAME_ALL_FIELDS: &str = "rename_all_fields";
pub(crate) const ALIAS: &str = "alias";
pub(crate) const SERIALIZE: &str = "serialize";
pub(crate) const DESERIALIZE: &str = "deserialize";
pub(crate) const DEFAULT: &str = "default";
pub(crate) const DENY_UNKNOWN_FIELDS: &str = "deny_unknown_fields";
pub(crate) const FLATTEN: &str = "flatten";
pub(crate) const TAG: &str = "tag";
pub(crate) const CONTENT: &str = "content";
pub(crate) const UNTAGGED: &str = "untagged";
pub(crate) const TRANSPARENT: &str = "transparent";
pub(crate) const OTHER: &str = "other";
pub(crate) const REMOTE: &str = "remote";
pub(crate) const FIELD_IDENTIFIER: &str = "field_identifier";
pub(crate) const VARIANT_IDENTIFIER: &str = "variant_identifier";
pub(crate) const FROM: &str = "from";
pub(crate) const TRY_FROM: &str = "try_from";
pub(crate) const INTO: &str = "into";
pub(crate) const WITH: &str = "with";
pub(crate) const SERIALIZE_WITH: &str = "serialize_with";
pub(crate) const DESERIALIZE_WITH: &str = "deserialize_with";
pub(crate) const SKIP: &str = "skip";
pub(crate) const SKIP_SERIALIZING: &str = "skip_serializing";
pub(crate) const SKIP_DESERIALIZING: &str = "skip_deserializing";
pub(crate) const SKIP_SERIALIZING_IF: &str = "skip_serializing_if";
/// With these, serde skips a field or a variant when it writes, reads, or both.
pub(crate) const SKIPS: &[&str] = &[SKIP, SKIP_SERIALIZING, SKIP_DESERIALIZING];
/// With these, serde does not read a field as its type says.
pub(crate) const NOT_READ: &[&str] = &[SKIP, SKIP_DESERIALIZING, WITH, DESERIALIZE_WITH];
/// With these, serde does not write a field as its type says.
pub(crate) const NOT_WRITTEN: &[&str] = &[SKIP, SKIP_SERIALIZING, WITH, SERIALIZE_WITH];

/// How an option is written.
pub(crate) enum Form {
    /// `word`.
    Alone,
    /// `word = value`, with an example of a value.
    Value(&'static str),
    /// `word(item, item)`, with an example of a list.
    List(&'static str),
}

/// How this option is written.
pub(crate) fn form(option: &str) -> Form {
    match option {
        CONTEXT | NO_IMPLICIT_PRELUDE => Form::Alone,
        MANUAL => Form::List("Debug, Clone"),
        EVENTS => Form::List("path::to::Type"),
        VERSION => Form::Value("1"),
        KEY => Form::Value("String"),
        NAME => Form::Value("\"...\""),
        CRATE => Form::Value("\"path::to::simple_sourcing\""),
        EVENT | ERROR | COMMAND => Form::Value("path::to::Type"),
        _ => Form::Value("Name"),
    }
}
