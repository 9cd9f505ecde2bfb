//! G2 and G5 in the response topic: each command has one outcome, told again word for word, and it is that of its events.

use std::collections::BTreeMap;

use simple_sourcing::{CommandId, Sequence};

use super::{Answer, EventIn, History, ResponseIn, Topics, Violation, group, history::Sent};

/// What a client is told while its aggregate has no readable state.
pub(super) const QUARANTINED: &[u8] = br#"{"Err":"Quarantined"}"#;

pub(super) fn check(history: &History, topics: &Topics) -> Vec<Violation> {
    let events: BTreeMap<CommandId, Vec<&EventIn>> = group(&topics.events, |event| event.command_id);
    // Answers to queries for a state have no hash.
    let responses = group(topics.responses.iter().filter(|response| response.hash.is_some()), |it| it.command_id);
    let answers = group(topics.answers.iter().map(|answer| &answer.response), |it| it.command_id);
    let mut violations = Vec::new();
    for (id, responses) in &responses {
        let last_event = events.get(id).and_then(|events| events.last()).map(|event| event.sequence);
        violations.extend(check_outcome(*id, responses, last_event));
        let answers = answers.get(id).into_iter().flatten();
        violations.extend(check_told(*id, responses.iter().chain(answers), history.command(*id)));
    }
    for (id, events) in &events {
        if !responses.contains_key(id) {
            let what = format!("command {id} has event {}, and no response", events[0].sequence);
            violations.push(Violation::new("G5", &events[0].key, what));
        }
    }
    violations
}

fn check_outcome(id: CommandId, responses: &[&ResponseIn], last_event: Option<Sequence>) -> Option<Violation> {
    let key = &responses[0].key;
    let mut firsts = responses.iter().filter(|response| response.first);
    let first = match (firsts.next(), firsts.next()) {
        (Some(first), None) => first,
        (Some(_), Some(_)) => {
            return Some(Violation::new("G2", key, format!("command {id} has two first outcomes")));
        }
        // Refused before anybody checked its id: nothing has run under it.
        (None, _) => {
            let what = || format!("command {id} has event {last_event:?}, and no first outcome");
            return last_event.map(|_| Violation::new("G5", key, what()));
        }
    };
    // Until then it has not run, and could be sent again.
    let quarantined = responses.iter().take_while(|response| response.value == QUARANTINED).count();
    let same_command = responses[quarantined..].iter().filter(|response| response.hash == first.hash);
    let text = |response: &ResponseIn| String::from_utf8_lossy(&response.value).into_owned();
    if let Some(other) = same_command.into_iter().find(|response| response.value != first.value) {
        let what = format!("command {id} was answered {}, and then {}", text(first), text(other));
        return Some(Violation::new("G2", key, what));
    }
    let what = || format!("the response to command {id} is {}, its last event {last_event:?}", text(first));
    (first.sequence != last_event).then(|| Violation::new("G5", key, what()))
}

/// The client was told the same as the response.
fn check_told<'a>(
    id: CommandId,
    mut responses: impl Iterator<Item = &'a &'a ResponseIn>,
    sent: Option<&Sent>,
) -> Option<Violation> {
    let Sent { key, answer: Some((_, told)), .. } = sent? else { return None };
    let same = |response: &&ResponseIn| match told {
        Answer::Accepted(sequence) => response.sequence == Some(*sequence),
        Answer::Refused(_) => response.sequence.is_none(),
    };
    let what = || format!("command {id} was answered {told:?}, and no response says so");
    (!responses.any(same)).then(|| Violation::new("G5", key, what()))
}
