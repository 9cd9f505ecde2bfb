use std::sync::Arc;

use crate::{
    codec::{Codecs, Role},
    engine::{AggregateIndex, Refold, Shard, StoredState, Typed, guard},
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
    let Some(stored) = port.state(aggregate, key.into(), TIMEOUT_DEFAULT).await? else { return Ok(None) };
    let reason = match decode(codecs, &stored) {
        Ok(state) => return Ok(state),
        Err(reason) => reason,
    };
    let name = EventOf::<A>::AGGREGATE;
    let refolded = tokio::time::timeout(TIMEOUT_DEFAULT, refold::<A>(port, aggregate, codecs, key.into(), &stored));
    let refolded = refolded.await.map_err(|_| ReadError::Timeout {
        what: format!("the events of {name} `{key}`, because its stored state can't be decoded ({reason})"),
        after: TIMEOUT_DEFAULT,
    })??;
    refolded.and_then(|stored| decode(codecs, &stored)).map_err(|events| ReadError::Undecodable {
        what: format!("the state of {name} `{key}`"),
        reason: format!("{reason}; it can't be recreated from its events either: {events}"),
    })
}

/// None if the aggregate is deleted.
fn decode<A: Aggregate>(codecs: &Codecs, stored: &StoredState) -> Result<Option<Versioned<A>>, String> {
    let state = guard(|| stored.state.as_ref().map(|state| codecs.decode(Role::States, state)).transpose())?;
    Ok(state.map(|state| Versioned { sequence: stored.sequence, state }))
}

/// The state, recreated from the events. The inner error says why it can't be.
async fn refold<A: Aggregate>(
    port: &dyn Port,
    aggregate: AggregateIndex,
    codecs: &Codecs,
    key: Arc<str>,
    stored: &StoredState,
) -> Result<Result<StoredState, String>, BackendError> {
    let at = Shard { aggregate, partition: stored.command_position.partition };
    let model = Arc::new(Typed::<A> { codecs: codecs.clone(), concurrency: Concurrency::Any });
    let mut refold = match Refold::new(model, at, key.clone(), stored) {
        Ok(refold) => refold,
        Err(error) => return Ok(Err(error.reason())),
    };
    let mut events = port.read(aggregate, Read::History { key, after: Sequence::ZERO });
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => refold.event(&event),
            Err(error @ (BackendError::Closed | BackendError::Unavailable { .. })) => return Err(error),
            Err(error) => refold.unreadable(error.to_string()),
        }
    }
    Ok(refold.finish(None))
}
