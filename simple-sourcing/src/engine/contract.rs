//! The commands of an aggregate type, by name and as JSON.

use std::{marker::PhantomData, sync::OnceLock};

use serde_json::Value;

use super::{
    given::{Given, listed},
    typed::guard,
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
