use std::iter;

use crate::model::{
    Aggregate, Command, CommandRole, Described, Event, EventRole,
    schema::{Field, Registry, Schema, Shape, Style, Text, TypeRef, TypeRole, TypeSchema, Variant, VariantRole},
};

/// A longer line is broken: a line for each field.
const LINE_WIDTH_MAX: usize = 100;

/// An aggregate as it appears on the wire, as text. Keep it as a snapshot, so that a change to what is in the log, or may be
/// sent, shows up in review.
///
/// ```
/// use simple_sourcing::{describe, prelude::*};
/// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
/// # #[error("no")]
/// # pub struct AccountError;
/// # impl AccountHandler for Account {
/// #     fn open(_: String) -> Decision<Self> { reject(AccountError) }
/// #     fn pay_in(&self, _: u64) -> Decision<Self> { reject(AccountError) }
/// #     fn close(&self) -> Decision<Self> { reject(AccountError) }
/// # }
/// # impl AccountApplier for Account {
/// #     fn opened(owner: String, _: Option<String>) -> Self { Account { owner, balance: 0, label: String::new() } }
/// #     fn deposited(&mut self, amount: u64) { self.balance += amount }
/// # }
///
/// #[event(key = String)]
/// #[serde(rename_all_fields = "camelCase")]
/// pub enum AccountEvent {
///     #[create]
///     Opened {
///         owner: String,
///         #[serde(default)]
///         opened_by: Option<String>,
///     },
///     #[serde(alias = "PaidIn")]
///     Deposited { amount: u64 },
///     #[delete]
///     Closed,
/// }
///
/// #[command(event = AccountEvent, error = AccountError)]
/// #[serde(rename_all = "kebab-case")]
/// pub enum AccountCommand {
///     #[create]
///     Open { owner: String },
///     PayIn(u64),
///     Close,
/// }
///
/// #[aggregate(command = AccountCommand, manual(PartialEq))]
/// pub struct Account {
///     owner: String,
///     balance: u64,
///     #[serde(skip)]
///     label: String,
/// }
///
/// /// The label is derived from the other fields when it is needed, so it is neither stored nor compared.
/// impl PartialEq for Account {
///     fn eq(&self, other: &Self) -> bool {
///         (&self.owner, self.balance) == (&other.owner, other.balance)
///     }
/// }
///
/// assert_eq!(
///     describe::<Account>(),
///     r#"aggregate: account
/// key: String
/// event: AccountEvent
///     create  Opened { owner: String, #[serde(default)] openedBy: Option<String> }
///     change  #[serde(alias = "PaidIn")] Deposited { amount: u64 }
///     delete  Closed
///
/// command: AccountCommand
/// error: AccountError
/// client: AccountClient
///     create  open: open { owner: String }
///     update  pay_in: pay-in(u64)
///     update  close: close
///
/// state: Account { owner: String, balance: u64 }
/// "#
/// );
/// ```
///
/// In a test, with [insta](https://docs.rs/insta): `insta::assert_snapshot!(describe::<Account>());`.
///
/// Each variant has a line: its role, the client method that sends it, its wire name, and its fields with their wire names and
/// their types as written in the source. Attributes that the macros can't apply, i.e. `#[cfg]` and other attributes of serde,
/// appear as they were written.
///
/// The text only names the types of fields, of the error and of the key: [`schema`] has what is known of them. Nothing is
/// known of what is serialized by hand. A snapshot of a value's JSON shows that, e.g.
/// `insta::assert_snapshot!(serde_json::to_string(&AccountError::NotEmpty)?);`. Topics belong to the backend: the Kafka crate
/// has `Kafka::describe_topics` for them.
pub fn describe<A: Aggregate>() -> String {
    let schema = schema::<A>();
    let state = schema.state.as_ref().and_then(|state| schema.get(state));
    format!("{}\n{}", contract(&schema), text(state.map(state_lines)))
}

/// [`describe`] without the state, for a crate that only knows the contract.
pub fn describe_contract<C: Command>() -> String {
    contract(&schema_of_contract::<C>())
}

/// What is known of an aggregate, as data: its events, its commands, its state and the types in them.
///
/// See the module [`schema`](mod@crate::schema), also for an example.
pub fn schema<A: Aggregate>() -> Schema {
    of_contract::<A::Command>(|registry| Some(A::describe(registry)))
}

/// [`schema`] without the state: for a crate that knows the contract alone.
pub fn schema_of_contract<C: Command>() -> Schema {
    of_contract::<C>(|_| None)
}

fn of_contract<C: Command>(state: impl FnOnce(&mut Registry) -> Option<TypeRef>) -> Schema {
    let mut registry = Registry::new();
    let (event, command) = (C::Event::describe(&mut registry), C::describe(&mut registry));
    let state = state(&mut registry);
    Schema::new(C::Event::AGGREGATE, event, command, state, registry.into_types())
}

fn contract(schema: &Schema) -> String {
    let event = schema.get(&schema.event).map(event_lines);
    let command = schema.get(&schema.command).map(command_lines);
    format!("{}\n{}", text(event), text(command))
}

fn text(lines: Option<Vec<String>>) -> String {
    lines.into_iter().flatten().map(|line| format!("{line}\n")).collect()
}

fn event_lines(event: &TypeSchema) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(TypeRole::EventType { aggregate, key }) = &event.role {
        lines.extend([format!("aggregate: {aggregate}"), format!("key: {}", key.text)]);
    }
    lines.push(format!("event: {}", type_name(event)));
    lines.extend(variants(event));
    lines
}

fn command_lines(command: &TypeSchema) -> Vec<String> {
    let mut lines = vec![format!("command: {}", type_name(command))];
    if let Some(TypeRole::CommandType { error, client }) = &command.role {
        lines.extend([format!("error: {}", error.text), format!("client: {client}")]);
    }
    lines.extend(variants(command));
    lines
}

fn state_lines(state: &TypeSchema) -> Vec<String> {
    let head = format!("state: {}", type_name(state));
    match &state.shape {
        Shape::Struct(of) => with_fields(head, "", of.style, &of.fields),
        Shape::Enum(_) => iter::once(head).chain(variants(state)).collect(),
    }
}

/// The name of the type, behind what is said of it as a whole.
fn type_name(ty: &TypeSchema) -> String {
    format!("{}{}", attributes(&ty.attributes), ty.name)
}

fn variants(ty: &TypeSchema) -> Vec<String> {
    let variants = match &ty.shape {
        Shape::Enum(of) => of.variants.as_slice(),
        Shape::Struct(_) => &[],
    };
    variants.iter().flat_map(variant_lines).collect()
}

fn variant_lines(variant: &Variant) -> Vec<String> {
    let role = match &variant.role {
        Some(VariantRole::OfEvent { role, .. }) => match role {
            EventRole::Create => "create  ".to_owned(),
            EventRole::Change => "change  ".to_owned(),
            EventRole::Delete => "delete  ".to_owned(),
        },
        Some(VariantRole::OfCommand { role, method }) => match role {
            CommandRole::Create => format!("create  {method}: "),
            CommandRole::Update => format!("update  {method}: "),
            CommandRole::Upsert => format!("upsert  {method}: "),
        },
        None => String::new(),
    };
    let head = format!("    {role}{}{}", attributes(&variant.attributes), variant.wire_name);
    with_fields(head, "    ", variant.style, &variant.fields)
}

/// `Opened { owner: String }`, with a line for each field where one does not hold them.
fn with_fields(head: String, indent: &str, style: Style, fields: &[Field]) -> Vec<String> {
    let (open, space, close) = match style {
        Style::Named => (" {", " ", "}"),
        Style::Tuple | Style::Newtype => ("(", "", ")"),
        Style::Unit => return vec![head],
    };
    // A field without a name leaves its mark on those behind it and is always shown.
    let shown = fields.iter().filter(|field| style != Style::Named || field.is_written || field.is_read);
    let texts = shown.map(|field| {
        let name = if style == Style::Named { format!("{}: ", field.wire_name) } else { String::new() };
        format!("{}{name}{}", attributes(&field.attributes), field.ty.text)
    });
    let texts: Vec<String> = texts.collect();
    let space = if texts.is_empty() { "" } else { space };
    let line = format!("{head}{open}{space}{}{space}{close}", texts.join(", "));
    if line.len() <= LINE_WIDTH_MAX {
        return vec![line];
    }
    let texts = texts.iter().map(|text| format!("{indent}    {text},"));
    iter::once(format!("{head}{open}")).chain(texts).chain([format!("{indent}{close}")]).collect()
}

/// The attributes, each with a space behind it.
fn attributes(attributes: &[Text]) -> String {
    attributes.iter().map(|attribute| format!("{attribute} ")).collect()
}
