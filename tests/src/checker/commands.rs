//! G1, G2 and G5: one set of events for each accepted command, none for a refused one.

use simple_sourcing::CommandId;

use super::{
    Answer, Entry, History, Violation,
    entry::{Events, by_command},
    history::Sent,
};

pub(super) fn check(history: &History, log: &[Entry]) -> Vec<Violation> {
    let events = by_command(log);
    let mut violations: Vec<_> = events
        .iter()
        .filter_map(|(id, events)| check_set(*id, events).or_else(|| check_answer(history.command(*id), *id, events)))
        .collect();
    violations.extend(lost(history, &events));
    violations
}

/// The events of one command are consecutive, of one aggregate, and of one run of the command.
fn check_set(id: CommandId, events: &[&Entry]) -> Option<Violation> {
    let second = events.windows(2).find(|pair| {
        let [before, after] = pair else { return false };
        before.key != after.key
            || before.command_position != after.command_position
            || before.sequence.get() + 1 != after.sequence.get()
    })?;
    let (Entry { key, sequence, .. }, before) = (second[1], second[0].sequence);
    Some(Violation::new("G2", key, format!("command {id} took effect twice: it has event {before}, and {sequence}")))
}

fn check_answer(sent: Option<&Sent>, id: CommandId, events: &[&Entry]) -> Option<Violation> {
    let Entry { key, sequence, .. } = events.last()?;
    let what = match sent {
        None => format!("event {sequence} is of command {id}, which nobody sent"),
        Some(sent) if sent.key != *key => {
            format!("event {sequence} is of command {id}, which was sent to `{}`", sent.key)
        }
        Some(Sent { answer: Some((_, Answer::Refused(reason))), .. }) => {
            format!("command {id} was refused ({reason}), and has event {sequence}")
        }
        Some(Sent { answer: Some((_, Answer::Accepted(told))), .. }) if told != sequence => {
            format!("the receipt of command {id} says sequence {told}, its event has {sequence}")
        }
        Some(_) => return None,
    };
    Some(Violation::new("G5", key, what))
}

fn lost(history: &History, events: &Events<'_>) -> Vec<Violation> {
    let lost = history.commands().filter_map(|(id, sent)| match &sent.answer {
        Some((_, Answer::Accepted(sequence))) if !events.contains_key(&id) => {
            let what = format!("command {id} was acknowledged at sequence {sequence}, and has no event");
            Some(Violation::new("G1", &sent.key, what))
        }
        _ => None,
    });
    lost.collect()
}
