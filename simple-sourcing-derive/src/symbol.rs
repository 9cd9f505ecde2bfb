//! The words of the attributes: every one that the macros know is a constant here and nowhere else.

/// `#[event]`, and the option of `#[command]` that names the events.
pub(crate) const EVENT: &str = "event";
/// `#[command]`, and the option of `#[aggregate]` that names the commands.
pub(crate) const COMMAND: &str = "command";
/// `#[aggregate]`.
pub(crate) const AGGREGATE: &str = "aggregate";

/// The type of the key; also the helper attribute of `#[derive(Key)]`.
pub(crate) const KEY: &str = "key";
/// The wire name of the aggregate.
pub(crate) const NAME: &str = "name";
/// The name of the generated applier trait.
pub(crate) const APPLIER: &str = "applier";
/// The name of the generated projector trait.
pub(crate) const PROJECTOR: &str = "projector";
/// The error with which commands are rejected.
pub(crate) const ERROR: &str = "error";
/// The name of the generated handler trait.
pub(crate) const HANDLER: &str = "handler";
/// The name of the generated client.
pub(crate) const CLIENT: &str = "client";
/// The path under which the framework is known.
pub(crate) const CRATE: &str = "crate";
/// Handlers take the context: an option (all of them) and a helper attribute (this one).
pub(crate) const CONTEXT: &str = "context";

/// A command that needs no aggregate to be there, or an event that makes the state.
pub(crate) const CREATE: &str = "create";
/// A command for which the aggregate may be there or not.
pub(crate) const UPSERT: &str = "upsert";
/// An event that removes the state.
pub(crate) const DELETE: &str = "delete";

/// The options of each macro, in the order in which messages list them.
pub(crate) const EVENT_OPTIONS: &[&str] = &[KEY, NAME, APPLIER, PROJECTOR, CRATE];
pub(crate) const COMMAND_OPTIONS: &[&str] = &[EVENT, ERROR, CONTEXT, HANDLER, CLIENT, CRATE];
pub(crate) const AGGREGATE_OPTIONS: &[&str] = &[COMMAND, CRATE];
pub(crate) const KEY_OPTIONS: &[&str] = &[CRATE];

/// The helper attributes of each macro's variants.
pub(crate) const EVENT_HELPERS: &[&str] = &[CREATE, DELETE];
pub(crate) const COMMAND_HELPERS: &[&str] = &[CREATE, UPSERT, CONTEXT];
/// All of them: one that stands in the wrong place is still known.
pub(crate) const HELPERS: &[&str] = &[CREATE, DELETE, UPSERT, CONTEXT];

/// Attributes of the language and of serde that the macros read.
pub(crate) const DOC: &str = "doc";
pub(crate) const CFG: &str = "cfg";
pub(crate) const CFG_ATTR: &str = "cfg_attr";
pub(crate) const DEPRECATED: &str = "deprecated";
pub(crate) const DERIVE: &str = "derive";
pub(crate) const SERDE: &str = "serde";
pub(crate) const RENAME: &str = "rename";
pub(crate) const RENAME_ALL: &str = "rename_all";
pub(crate) const ALIAS: &str = "alias";
pub(crate) const SERIALIZE: &str = "serialize";

/// What the value of an option looks like; none where it takes no value.
pub(crate) fn example(option: &str) -> Option<&'static str> {
    match option {
        CONTEXT => None,
        KEY => Some("String"),
        NAME => Some("\"...\""),
        CRATE => Some("\"path::to::simple_sourcing\""),
        EVENT | ERROR | COMMAND => Some("path::to::Type"),
        _ => Some("Name"),
    }
}
