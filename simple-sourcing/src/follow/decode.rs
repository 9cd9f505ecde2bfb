use crate::{
    codec::{Codecs, Role},
    engine::{EventRecord, Logged, guard},
    error::ReadError,
    model::{Event, EventMeta, Key, Recorded},
};

/// Decodes an event of the log.
pub(super) fn decode<E: Event>(codecs: &Codecs, logged: &Logged) -> Result<Recorded<E>, ReadError> {
    let Logged { offset, record } = logged;
    let undecodable = |reason| ReadError::Undecodable { what: describe(E::AGGREGATE, logged), reason };
    let EventRecord { key, sequence, command_position, command_id, time, trace, payload, .. } = record;
    let meta = EventMeta {
        key: guard(|| E::Key::from_text(key).map_err(|error| error.to_string())).map_err(undecodable)?,
        sequence: *sequence,
        partition: command_position.partition,
        offset: *offset,
        command_id: *command_id,
        command_position: *command_position,
        time: *time,
        trace: trace.clone(),
    };
    Ok(Recorded { event: guard(|| codecs.decode(Role::Events, payload)).map_err(undecodable)?, meta })
}

/// Which event it is, for errors.
pub(crate) fn describe(aggregate: &str, Logged { offset, record }: &Logged) -> String {
    let EventRecord { key, sequence, name, command_position, .. } = record;
    let partition = command_position.partition;
    format!("event {sequence} of {aggregate} `{key}` (`{name}`, partition {partition}, offset {offset})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::Payload, model::Position, prelude::*};

    #[event(key = String)]
    enum DoorEvent {
        #[create]
        Hung { width: Width },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(from = "u32")]
    struct Width(u32);

    impl From<u32> for Width {
        fn from(width: u32) -> Self {
            assert_ne!(width, 0, "a door has a width");
            Width(width)
        }
    }

    #[test]
    fn a_panic_while_an_event_is_decoded_is_an_error_of_that_event() {
        let read = |payload: &'static str| {
            let record = EventRecord {
                key: "front".into(),
                sequence: Sequence::new(1),
                command_position: Position { partition: 0, offset: 3 },
                command_id: CommandId::new(),
                time: Timestamp::from_millis(0),
                name: "Hung".into(),
                trace: None,
                payload: Payload::json(payload),
            };
            decode::<DoorEvent>(&Codecs::new("door"), &Logged { offset: 7, record })
        };
        assert_eq!(read(r#"{"Hung":{"width":1}}"#).map(|event| event.event), Ok(DoorEvent::Hung { width: Width(1) }));
        let error = read(r#"{"Hung":{"width":0}}"#).unwrap_err().to_string();
        assert!(error.contains("offset 7") && error.contains("a door has a width"), "{error}");
    }
}
