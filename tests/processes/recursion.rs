//! A handler that ends the process: endless recursion really overflows the stack of the worker.
#![allow(unreachable_pub, reason = "the domain is written as in a library")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a service process is in it")]

use std::{
    env,
    error::Error,
    hint::black_box,
    io::{self, BufRead},
    path::Path,
    process::{ExitCode, ExitStatus},
};

use libtest_mimic::Trial;
use simple_sourcing::prelude::*;
use simple_sourcing_tests::{checker::Answer, node::Node, sending};

use crate::{runtime, trial};

/// The argument that turns this binary into the service process: `processes recursion DIRECTORY`.
pub(crate) const SERVICE: &str = "recursion";

/// This many processes may die on a command.
const DEATHS_MAX: usize = 3;

#[event(key = String)]
pub enum TreeEvent {
    #[create]
    Planted,
    Grown,
}

#[command(event = TreeEvent, error = TreeError)]
pub enum TreeCommand {
    #[create]
    Plant,
    Grow,
    /// The handler calls itself forever.
    Descend,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
pub struct TreeError;

#[aggregate(command = TreeCommand)]
#[derive(Debug, PartialEq)]
pub struct Tree {
    height: u64,
}

impl TreeHandler for Tree {
    fn plant() -> Decision<Self> {
        emit(TreeEvent::Planted)
    }

    fn grow(&self) -> Decision<Self> {
        emit(TreeEvent::Grown)
    }

    fn descend(&self) -> Decision<Self> {
        black_box(descend(self.height));
        emit(TreeEvent::Grown)
    }
}

impl TreeApplier for Tree {
    fn planted() -> Self {
        Tree { height: 0 }
    }

    fn grown(&mut self) {
        self.height += 1;
    }
}

fn descend(depth: u64) -> u64 {
    let here = black_box([depth; 64]);
    if here[0] == u64::MAX { 0 } else { descend(depth + 1) + black_box(here)[1] }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("embedded::a_handler_that_ends_the_process_is_not_run_for_ever", it_is_not_run_for_ever)]
}

fn it_is_not_run_for_ever() {
    let store = tempfile::tempdir().expect("a directory can be made");
    let (deadly, before, behind) = (CommandId::new(), CommandId::new(), CommandId::new());
    let mut node = start(store.path());
    node.write("new", "oak", &TreeCommand::Plant);
    node.answer();
    for death in 1..=DEATHS_MAX {
        node.write(&before.to_string(), "elm", &TreeCommand::Plant);
        if death > 1 {
            // Commands that may have been decided in the same batch the first time are decided without it from then on.
            assert_eq!(node.answer(), (before, Answer::Accepted(Sequence::new(1))));
        }
        node.write(&deadly.to_string(), "oak", &TreeCommand::Descend);
        node.write(&behind.to_string(), "ash", &TreeCommand::Plant);
        let (_, status, log) = node.last_answers();
        assert!(is_overflow(status), "death {death}: {status}: {log}");
        node = start(store.path());
    }
    for _ in 0..2 {
        node.write(&deadly.to_string(), "oak", &TreeCommand::Descend);
        let (id, answer) = node.answer();
        let Answer::Refused(reason) = answer else { panic!("it is refused, not {answer:?}") };
        assert!(id == deadly && reason.contains("the process died 3 times"), "{reason}");
        node.write(&behind.to_string(), "ash", &TreeCommand::Plant);
        assert_eq!(node.answer(), (behind, Answer::Accepted(Sequence::new(1))));
        // That is its outcome from then on.
        assert!(node.stop().success());
        node = start(store.path());
    }
    node.write("new", "oak", &TreeCommand::Grow);
    assert_eq!(node.answer().1, Answer::Accepted(Sequence::new(2)), "nothing has happened to the aggregate");
    assert!(node.stop().success());
}

fn is_overflow(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    // Rust names it and aborts.
    status.signal() == Some(6)
}

fn start(store: &Path) -> Node {
    let program = env::current_exe().expect("this is a program");
    let (program, store) = (program.display().to_string(), store.display().to_string());
    Node::start(&program, &[SERVICE, &store]).expect("it starts")
}

/// Serves until the end of the input, as `node` does.
pub(crate) fn serve(store: &str) -> ExitCode {
    match runtime().block_on(answer(store)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn answer(store: &str) -> Result<(), Box<dyn Error>> {
    let app = App::new("garden").aggregate::<Tree>().start(Embedded::open(store)).await?;
    let trees: TreeClient = app.client();
    println!("ready");
    let mut under_way = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let [id, key, command] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            return Err(format!("`{line}` is not `ID KEY COMMAND`").into());
        };
        let id = if id == "new" { CommandId::new() } else { id.parse()? };
        let answer = sending::send(trees.send(key, serde_json::from_str::<TreeCommand>(command)?).command_id(id)).await;
        under_way.push(tokio::spawn(async move {
            match Answer::of(&answer.await) {
                Some(Answer::Accepted(sequence)) => println!("{id} ok {sequence}"),
                Some(Answer::Refused(reason)) => println!("{id} refused {reason}"),
                None => {}
            }
        }));
    }
    for answered in under_way {
        answered.await?;
    }
    app.shutdown().await?;
    Ok(())
}
