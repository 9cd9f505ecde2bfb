//! G5 in the answer topic: an answer at an address matches the response, if it must be remembered; and G1: whatever
//! names an address is answered there.

use std::collections::{BTreeMap, BTreeSet};

use simple_sourcing::{CommandId, Position};

use super::{AnswerIn, ResponseIn, Topics, Violation, group, responses::QUARANTINED};

pub(super) fn check(topics: &Topics) -> Vec<Violation> {
    let firsts = topics.responses.iter().filter(|response| response.first);
    let firsts: BTreeMap<CommandId, &ResponseIn> = firsts.map(|response| (response.command_id, response)).collect();
    // Answers to queries for a state have no hash.
    let answers = topics.answers.iter().map(|answer| &answer.response).filter(|answer| answer.hash.is_some());
    let mut violations: Vec<_> =
        answers.filter_map(|answer| check_answer(answer, firsts.get(&answer.command_id).copied())).collect();
    violations.extend(check_addresses(topics));
    violations
}

fn check_answer(answer: &ResponseIn, first: Option<&ResponseIn>) -> Option<Violation> {
    let ResponseIn { key, command_id: id, .. } = answer;
    let is_right = match first.filter(|first| first.hash == answer.hash) {
        Some(first) if answer.value == QUARANTINED => !answer.first && offset(answer) < offset(first),
        Some(first) => content(answer) == content(first),
        // Nothing has run under the id, or something else.
        None => !answer.first && answer.sequence.is_none(),
    };
    let what = || {
        let [answer, first] = [Some(answer), first].map(|it| it.map(|it| String::from_utf8_lossy(&it.value)));
        format!("command {id} was answered {answer:?} to an address, and its first response is {first:?}")
    };
    (!is_right).then(|| Violation::new("G5", key, what()))
}

fn content(response: &ResponseIn) -> impl PartialEq {
    (response.key.clone(), offset(response), response.sequence, response.value.clone())
}

fn offset(response: &ResponseIn) -> Option<u64> {
    response.command_position.map(|position| position.offset)
}

/// There are as many answers at each address as consumed commands of an id that name it, with at most one first outcome
/// among them.
fn check_addresses(topics: &Topics) -> Vec<Violation> {
    let put_aside: BTreeSet<Position> = topics.dead_letters.iter().copied().collect();
    let next: BTreeMap<u32, u64> = topics.consumed.iter().map(|commit| (commit.partition, commit.next)).collect();
    let is_consumed = |position: &Position| next.get(&position.partition).is_some_and(|next| position.offset < *next);
    let commands = topics.commands.iter().filter(|command| is_consumed(&command.position));
    let commands = commands.filter(|command| !put_aside.contains(&command.position));
    let asked = group(commands, |command| (command.id, command.answer_to));
    let answers = group(&topics.answers, |answer| (Some(answer.response.command_id), Some(answer.address)));
    let mut wrong = Vec::new();
    for ((id, address), commands) in asked.iter().filter(|((id, address), _)| id.is_some() && address.is_some()) {
        let (times, position) = (answers.get(&(*id, *address)).map_or(0, Vec::len), commands[0].position);
        if times < commands.len() {
            let what = format!(
                "the command at {position} was sent {} times with address {address:?}, and answered there {times} times",
                commands.len()
            );
            wrong.push(Violation::new("G1", format!("partition {}", position.partition), what));
        }
    }
    let firsts = topics.answers.iter().filter(|answer| answer.response.first);
    for (id, firsts) in group(firsts, |answer| answer.response.command_id) {
        if let [AnswerIn { response, .. }, _, ..] = firsts[..] {
            let what = format!("command {id} has {} first outcomes at addresses", firsts.len());
            wrong.push(Violation::new("G2", &response.key, what));
        }
    }
    wrong
}
