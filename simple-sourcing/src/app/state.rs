use std::sync::Arc;

use serde_json::Value;

use crate::{
    codec::{Codecs, Payload, Role},
    engine::{AggregateDefinition, AggregateIndex, AnyAggregate, Refold, Shard, StoredState, Typed, guard},
    error::{BackendError, ReadError},
    model::{Aggregate, Concurrency, Event, EventOf, Sequence, Versioned},
    port::{Port, Read, TIMEOUT_DEFAULT},
};

/// The state of an aggregate. If it can't be decoded, it is refolded for this caller only; a service refolds it when the
/// next command arrives.
pub(super) async fn read<A: Aggregate>(
    port: &dyn Port,
    aggregate: AggregateIndex,
    codecs: &Codecs,
    key: &str,
) -> Result<Option<Versioned<A>>, ReadError> {
    let model =
        || -> Arc<dyn AnyAggregate> { Arc::new(Typed::<A> { codecs: codecs.clone(), concurrency: Concurrency::Any }) };
    let reader = Reader { port, aggregate, name: EventOf::<A>::AGGREGATE, key };
    reader.read(|state| codecs.decode(Role::States, state), Some(&model)).await
}

/// [`read`] as JSON, for those who know no more of the aggregate type than its name.
pub(super) async fn read_json(
    port: &dyn Port,
    aggregate: AggregateIndex,
    definition: &AggregateDefinition,
    key: &str,
) -> Result<Option<Versioned<Value>>, ReadError> {
    definition.contract.check_key(key).map_err(ReadError::InvalidKey)?;
    let reader = Reader { port, aggregate, name: definition.name, key };
    let Some(model) = &definition.model else {
        return reader.read(|state| written_json(&definition.codecs, state), None).await;
    };
    reader.read(|state| model.json(state), Some(&|| model.clone())).await
}

/// A state as it is written, if that is JSON.
fn written_json(codecs: &Codecs, state: &Payload) -> Result<Value, String> {
    if !state.encoding.is_json() {
        let encoding = &state.encoding;
        return Err(format!("it is {encoding}, which only an app that serves the aggregate type can show as JSON"));
    }
    codecs.decode(Role::States, state)
}

/// Whose state is read.
struct Reader<'a> {
    port: &'a dyn Port,
    aggregate: AggregateIndex,
    name: &'static str,
    key: &'a str,
}

/// Makes what can recreate a state from events. That is rarely needed.
type Model<'a> = &'a (dyn Fn() -> Arc<dyn AnyAggregate> + Sync);

impl Reader<'_> {
    async fn read<T>(
        &self,
        decode: impl Fn(&Payload) -> Result<T, String>,
        model: Option<Model<'_>>,
    ) -> Result<Option<Versioned<T>>, ReadError> {
        let Reader { port, aggregate, name, key } = *self;
        let Some(stored) = port.state(aggregate, key.into(), TIMEOUT_DEFAULT).await? else { return Ok(None) };
        // None if the aggregate is deleted.
        let decode = |stored: &StoredState| {
            let state = guard(|| stored.state.as_ref().map(&decode).transpose())?;
            Ok(state.map(|state| Versioned { sequence: stored.sequence, state }))
        };
        let reason = match decode(&stored) {
            Ok(state) => return Ok(state),
            Err(reason) => reason,
        };
        let what = format!("the state of {name} `{key}`");
        let Some(model) = model else { return Err(ReadError::Undecodable { what, reason }) };
        let refolded = tokio::time::timeout(TIMEOUT_DEFAULT, self.refold(model(), &stored));
        let refolded = refolded.await.map_err(|_| ReadError::Timeout {
            what: format!("the events of {name} `{key}`, because its stored state can't be decoded ({reason})"),
            after: TIMEOUT_DEFAULT,
        })??;
        refolded.and_then(|stored| decode(&stored)).map_err(|events| ReadError::Undecodable {
            what,
            reason: format!("{reason}; it can't be recreated from its events either: {events}"),
        })
    }

    /// The state, recreated from the events. The inner error says why it can't be.
    async fn refold(
        &self,
        model: Arc<dyn AnyAggregate>,
        stored: &StoredState,
    ) -> Result<Result<StoredState, String>, BackendError> {
        let Reader { port, aggregate, key, .. } = *self;
        let at = Shard { aggregate, partition: stored.command_position.partition };
        let mut refold = match Refold::new(model, at, key.into(), stored) {
            Ok(refold) => refold,
            Err(error) => return Ok(Err(error.reason())),
        };
        let mut events = port.read(aggregate, Read::History { key: key.into(), after: Sequence::ZERO });
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => refold.event(&event),
                Err(error @ (BackendError::Closed | BackendError::Unavailable { .. })) => return Err(error),
                Err(error) => refold.unreadable(error.to_string()),
            }
        }
        Ok(refold.finish(None))
    }
}
