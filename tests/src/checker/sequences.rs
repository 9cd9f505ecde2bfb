//! G3: from 1, without a gap or a repetition.

use simple_sourcing::Sequence;

use super::{Entry, Violation};

pub(super) fn check(key: &str, events: &[&Entry]) -> Option<Violation> {
    let wrong = (1..).zip(events).find(|(expected, event)| event.sequence != Sequence::new(*expected));
    wrong.map(|(expected, event)| {
        let (sequence, id) = (event.sequence, event.command_id);
        Violation::new("G3", key, format!("event {expected} has sequence {sequence}; it is of command {id}"))
    })
}
