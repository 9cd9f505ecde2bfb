//! A clock that was wrong once.

use std::path::Path;

use libtest_mimic::Trial;
use simple_sourcing::prelude::*;
use simple_sourcing_tests::{
    bank::domain::AccountCommand,
    checker::{Answer, History},
    clock::Clock,
    node::Node,
};

use super::{check, plan, send, text};
use crate::{NODE, trial};

const TWO_DAYS: i64 = 2 * 24 * 60 * 60;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("embedded::a_clock_that_was_wrong_once_keeps_nobody_out", a_clock_that_was_wrong_once_keeps_nobody_out),
        trial("embedded::a_clock_may_be_set_while_it_runs", a_clock_may_be_set_while_it_runs),
    ]
}

fn a_clock_that_was_wrong_once_keeps_nobody_out() {
    let (store, clock) = (tempfile::tempdir().expect("a directory can be made"), Clock::right());
    let (mut history, load) = (History::new(), plan(200));
    let mut node = start(store.path(), &clock);
    send(&mut node, &load[..100], &mut history, 100);
    assert!(node.stop().success());

    clock.set(TWO_DAYS);
    let mut node = start(store.path(), &clock);
    open_one(&mut node, "from-the-future", &mut history);
    assert!(node.stop().success());

    clock.set(0);
    let mut node = start(store.path(), &clock);
    // Those from before still have their answers, and new ones are accepted.
    send(&mut node, &load, &mut history, 200);
    assert!(node.has_said("the log's time follows the clock again"));
    open_one(&mut node, "from-now", &mut history);
    assert!(node.stop().success());
    check(store.path(), &history);
}

fn a_clock_may_be_set_while_it_runs() {
    let (store, clock) = (tempfile::tempdir().expect("a directory can be made"), Clock::right());
    let (mut history, load) = (History::new(), plan(100));
    let mut node = start(store.path(), &clock);
    send(&mut node, &load[..50], &mut history, 50);
    clock.set(TWO_DAYS);
    open_one(&mut node, "from-the-future", &mut history);
    assert!(node.has_said("this machine's clock has jumped ahead"));
    clock.set(0);
    send(&mut node, &load, &mut history, 100);
    clock.set(-TWO_DAYS);
    open_one(&mut node, "from-the-past", &mut history);
    clock.set(0);
    open_one(&mut node, "from-now", &mut history);
    assert!(node.stop().success());
    check(store.path(), &history);
}

/// Under an id that is made by the clock of the process.
fn open_one(node: &mut Node, key: &str, history: &mut History) {
    node.send_as_new(key, &AccountCommand::Open { owner: "Owner".to_owned() });
    let (id, answer) = node.answer();
    assert_eq!(answer, Answer::Accepted(Sequence::new(1)), "{key}");
    history.sent(key, id);
    history.answered(id, answer);
}

fn start(store: &Path, clock: &Clock) -> Node {
    let environment = clock.environment();
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    Node::start_in(NODE, &["embedded", &text(store), "3"], &environment).expect("it starts")
}
