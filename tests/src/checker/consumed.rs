//! Consumed offsets in step with outputs: what is consumed has its answer (G1), what is answered is consumed (G5), and
//! nobody goes back behind a successor (G8).

use std::collections::{BTreeMap, BTreeSet};

use simple_sourcing::Position;

use super::{Topics, Violation, group};

pub(super) fn check(topics: &Topics) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut next = BTreeMap::new();
    for commit in &topics.consumed {
        // The next worker of the partition then continues after what was written, wherever that is.
        if !commit.by_a_worker {
            next.remove(&commit.partition);
            continue;
        }
        let before = next.insert(commit.partition, commit.next).unwrap_or(0);
        // The same offset again is of the same transaction: the client library resends offsets without a reply. From
        // another transaction, its commands would have two answers.
        if commit.next < before {
            let what = format!("offset {} was committed behind {before}", commit.next);
            violations.push(Violation::new("G8", partition(commit.partition), what));
        }
    }
    let is_consumed = |position: &Position| next.get(&position.partition).is_some_and(|next| position.offset < *next);
    violations.extend(unanswered(topics, is_consumed));
    let put_aside = group(&topics.dead_letters, |position| *position);
    for (position, letters) in put_aside.into_iter().filter(|(_, letters)| letters.len() > 1) {
        let what = format!("the record at {position} was put aside {} times", letters.len());
        violations.push(Violation::new("G2", partition(position.partition), what));
    }

    let outputs = topics.events.iter().map(|event| (event.command_id, event.command_position));
    let answers = topics.responses.iter().filter(|response| response.first);
    let answers = answers.filter_map(|response| Some((response.command_id, response.command_position?)));
    for (id, position) in outputs.chain(answers) {
        if !is_consumed(&position) {
            let what = format!("command {id} at {position} has outputs, and is not consumed");
            violations.push(Violation::new("G5", partition(position.partition), what));
        }
    }
    violations
}

/// There are as many answers as consumed commands of an id, wherever they are. The first outcome is also at its
/// address.
fn unanswered(topics: &Topics, is_consumed: impl Fn(&Position) -> bool) -> Vec<Violation> {
    let put_aside: BTreeSet<Position> = topics.dead_letters.iter().copied().collect();
    let again = topics.answers.iter().map(|answer| &answer.response).filter(|answer| !answer.first);
    let responses = group(topics.responses.iter().chain(again), |response| response.command_id);
    let consumed = topics.commands.iter().filter(|command| is_consumed(&command.position));
    let wrong = group(consumed, |command| command.id).into_iter().filter_map(|(id, commands)| {
        let (position, times) = (commands[0].position, commands.len());
        if commands.iter().all(|command| put_aside.contains(&command.position)) {
            return None;
        }
        let answers = id.and_then(|id| responses.get(&id)).map_or(0, Vec::len);
        let id = id.map_or("without an id".to_owned(), |id| id.to_string());
        let what = format!("command {id} at {position} was consumed {times} times and answered {answers} times");
        (answers != times)
            .then(|| Violation::new(if answers < times { "G1" } else { "G2" }, partition(position.partition), what))
    });
    wrong.collect()
}

fn partition(number: u32) -> String {
    format!("partition {number}")
}
