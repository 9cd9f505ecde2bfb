//! G7: an accepted command with an expected sequence found the aggregate at it.

use super::{Entry, History, Violation, entry::by_command};

pub(super) fn check(history: &History, log: &[Entry]) -> Vec<Violation> {
    let wrong = by_command(log).into_iter().filter_map(|(id, events)| {
        let (Entry { key, sequence, .. }, expected) = (events.first()?, history.command(id)?.expected?);
        let what = format!("command {id} demanded sequence {expected}, and its first event has {sequence}");
        (sequence.get() != expected.get() + 1).then(|| Violation::new("G7", key, what))
    });
    wrong.collect()
}
