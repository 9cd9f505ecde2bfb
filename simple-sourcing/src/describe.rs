use crate::model::{Aggregate, Command, Event};

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
/// Macros see declarations, but not what they refer to. So the text does not show how field types, the error and the key are
/// written, nor anything that is serialized by hand. A snapshot of a value's JSON shows that, e.g.
/// `insta::assert_snapshot!(serde_json::to_string(&AccountError::NotEmpty)?);`. Topics belong to the backend: the Kafka crate
/// has `Kafka::describe_topics` for them.
pub fn describe<A: Aggregate>() -> String {
    format!("{}\n{}", describe_contract::<A::Command>(), text(A::DESCRIPTION))
}

/// [`describe`] without the state, for a crate that only knows the contract.
pub fn describe_contract<C: Command>() -> String {
    format!("{}\n{}", text(C::Event::DESCRIPTION), text(C::DESCRIPTION))
}

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
