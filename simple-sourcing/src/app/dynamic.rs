use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_json::Value;

use super::state;
use crate::{
    client::{Destination, DynamicCall, Route},
    engine::{AggregateDefinition, AggregateIndex, Definition},
    error::{BackendError, CommandError, ReadError},
    model::{CommandId, CommandVariant, Receipt, Versioned, schema::Schema},
    port::{Port, TIMEOUT_DEFAULT},
};

/// Sends commands by name and JSON, for code that does not know the types: an HTTP server, a tool, a process that reacts to
/// events.
///
/// A command is read into its type and encoded as a typed client would, so the service gets the same bytes, and the same rules
/// hold:
///
/// - **Aggregate types** and **commands** have their names on the wire. A command is also found under its aliases.
/// - **Fields** are as serde reads them, with their names on the wire. A command without fields takes `null` or `{}`. A field
///   that nobody reads is an error, as it is most likely mistyped. A field that is left out gets its default, if it has one.
/// - **Keys** are in the one text that the key has. `"07"` is no `u32`: it would be a second name of the aggregate `"7"`.
///
/// What breaks these rules is [`Invalid`](CommandError::Invalid), and nothing is sent. The error says which field it is and what
/// was expected, or which names there are.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// use serde_json::json;
///
/// let dynamic = app.dynamic();
/// let receipt = dynamic.send("account", "alice", "Deposit", json!({"amount": 50})).await?;
/// assert_eq!(receipt.sequence.get(), 2);
///
/// let rejected = dynamic.send("account", "alice", "Withdraw", json!({"amount": 80})).await;
/// assert_eq!(rejected, Err(CommandError::Rejected(json!({"InsufficientFunds": {"balance": 50, "amount": 80}}))));
///
/// let mistyped = dynamic.send("account", "alice", "Deposit", json!({"amuont": 50})).await;
/// assert!(matches!(mistyped, Err(CommandError::Invalid(_))));
///
/// let alice = dynamic.state("account", "alice").await?.expect("the account is open");
/// assert_eq!(alice.state, json!({"balance": 50}));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct DynamicClient {
    port: Arc<dyn Port>,
    definition: Arc<Definition>,
    destinations: Arc<BTreeMap<&'static str, Destination>>,
}

impl DynamicClient {
    pub(super) fn new(port: &Arc<dyn Port>, definition: &Arc<Definition>) -> Self {
        let destinations = AggregateIndex::each(&definition.aggregates).map(|(index, aggregate)| {
            let destination =
                Destination { route: Arc::new(route(port, index, aggregate)), contract: aggregate.contract.clone() };
            (aggregate.name, destination)
        });
        DynamicClient {
            destinations: Arc::new(destinations.collect()),
            port: port.clone(),
            definition: definition.clone(),
        }
    }

    /// A command to the aggregate with this key. It is sent when the call is awaited or published.
    ///
    /// # Errors
    /// Those of a typed call, with the error of the domain as JSON. [`BackendError::UnknownAggregate`] if the app does not know
    /// the aggregate type.
    pub fn send(
        &self,
        aggregate: &str,
        key: impl Into<String>,
        command: impl Into<String>,
        fields: Value,
    ) -> DynamicCall {
        DynamicCall::new(self.find(aggregate).cloned(), key.into(), command.into(), fields)
    }

    /// The outcome of a command that was sent before, by this process or another, typed or by name. Waits up to 30 seconds for
    /// it, and does not send the command again.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let id = accounts.deposit("alice", 50).publish().await?.command_id();
    /// let receipt = app.dynamic().outcome("account", id).await?;
    /// assert_eq!((receipt.command_id, receipt.sequence.get()), (id, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The command's own error; [`Timeout`](CommandError::Timeout) if there is no outcome within 30 seconds.
    pub async fn outcome(&self, aggregate: &str, command_id: CommandId) -> Result<Receipt, CommandError<Value>> {
        self.outcome_within(aggregate, command_id, TIMEOUT_DEFAULT).await
    }

    /// [`outcome`](DynamicClient::outcome) with another timeout.
    ///
    /// # Errors
    /// As [`outcome`](DynamicClient::outcome).
    pub async fn outcome_within(
        &self,
        aggregate: &str,
        command_id: CommandId,
        timeout: Duration,
    ) -> Result<Receipt, CommandError<Value>> {
        self.find(aggregate)?.outcome(command_id, timeout).await
    }

    /// The state of an aggregate as JSON, with its sequence; none if there is no aggregate with this key. It is never older than
    /// any receipt that existed when this was called.
    ///
    /// An app that serves the aggregate type shows the state as it would be written in JSON, whatever it was written with, and
    /// recreates it from the events if it can't be decoded. A mere client shows what is written, so it must be JSON.
    ///
    /// # Errors
    /// When the state can't be read, or not within 30 seconds. [`ReadError::InvalidKey`] if the text is not that of a key.
    pub async fn state(&self, aggregate: &str, key: &str) -> Result<Option<Versioned<Value>>, ReadError> {
        let index = self.find(aggregate)?.route.aggregate;
        state::read_json(&*self.port, index, &self.definition.aggregates[index], key).await
    }

    /// The aggregate types of the app, by their wire names.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let dynamic = app.dynamic();
    /// for aggregate in dynamic.aggregates() {
    ///     for command in dynamic.commands(aggregate)? {
    ///         println!("{aggregate}: {} ({:?})", command.name, command.role);
    ///     }
    /// }
    /// # assert_eq!(dynamic.aggregates().collect::<Vec<_>>(), ["account"]);
    /// # assert_eq!(dynamic.commands("account")?[1].name, "Deposit");
    /// # Ok(()) }
    /// ```
    pub fn aggregates(&self) -> impl Iterator<Item = &'static str> {
        self.destinations.keys().copied()
    }

    /// The commands of an aggregate type in the order of their declaration.
    ///
    /// # Errors
    /// When the app does not know the aggregate type.
    pub fn commands(&self, aggregate: &str) -> Result<&'static [CommandVariant], BackendError> {
        Ok(self.find(aggregate)?.contract.variants())
    }

    /// What is known of the contract of an aggregate type: the fields of its commands and their types, its events, its error.
    /// It has no [state](Schema::state).
    ///
    /// # Errors
    /// When the app does not know the aggregate type.
    pub fn schema(&self, aggregate: &str) -> Result<&Schema, BackendError> {
        Ok(self.find(aggregate)?.contract.schema())
    }

    fn find(&self, aggregate: &str) -> Result<&Destination, BackendError> {
        let unknown = || BackendError::UnknownAggregate(aggregate.to_owned().into());
        self.destinations.get(aggregate).ok_or_else(unknown)
    }
}

/// Where the commands of an aggregate type go.
pub(super) fn route(port: &Arc<dyn Port>, aggregate: AggregateIndex, definition: &AggregateDefinition) -> Route {
    let AggregateDefinition { name, codecs, settings, .. } = definition;
    Route { port: port.clone(), aggregate, name, codecs: codecs.clone(), settings: settings.clone() }
}

impl fmt::Debug for DynamicClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicClient").field("aggregates", &self.destinations.keys()).finish_non_exhaustive()
    }
}
