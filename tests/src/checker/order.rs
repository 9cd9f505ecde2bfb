//! G4: events in the order of sending. G8: nothing behind what a successor wrote.

use super::{Entry, History, Violation, group};

/// A command that was answered before another command of the key was sent comes before it. So does one that was sent
/// before it, answered or not, as long as both were sent only once.
pub(super) fn check_key(history: &History, key: &str, events: &[&Entry]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let commands = || events.iter().filter_map(|event| Some((event.command_id, history.command(event.command_id)?)));

    let mut answered_first = (u64::MAX, None);
    for (id, command) in commands().rev() {
        if let (answered, Some(later)) = answered_first
            && answered < command.sent
        {
            let what = format!("command {id} was sent after {later} had been answered, and stands before it");
            violations.push(Violation::new("G4", key, what));
        }
        if let Some((answered, _)) = command.answer
            && answered < answered_first.0
        {
            answered_first = (answered, Some(id));
        }
    }

    let mut sent_last = (0, None);
    for (id, command) in commands().filter(|(_, command)| !command.again) {
        match sent_last {
            (sent, Some(earlier)) if sent > command.sent => {
                let what = format!("command {id} was sent before {earlier}, and stands after it");
                violations.push(Violation::new("G4", key, what));
            }
            _ => sent_last = (command.sent, Some(id)),
        }
    }
    violations
}

/// The commands of a partition take effect in their order. A fenced worker continues where its successor has long been:
/// what it writes comes after that.
pub(super) fn check_partitions(log: &[Entry]) -> Vec<Violation> {
    let partitions = group(log, |event| event.command_position.partition);
    let pairs = partitions.values().flat_map(|events| events.windows(2));
    let wrong = pairs.filter(|pair| pair[0].command_position.offset > pair[1].command_position.offset);
    let violations = wrong.map(|pair| {
        let [before, Entry { key, sequence, command_id, command_position, .. }] = pair else { unreachable!() };
        let what = format!(
            "event {sequence} of command {command_id} at {command_position} stands behind that of {} at {}",
            before.command_id, before.command_position
        );
        Violation::new("G8", key, what)
    });
    violations.collect()
}
