//! The table of what was done and checked.

use std::{
    collections::BTreeMap,
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use simple_sourcing_tests::checker::{Aborted, Count};

/// What the rounds of a fault have shown.
#[derive(Default)]
pub(crate) struct Row {
    rounds: usize,
    /// What was injected, and how often.
    injected: BTreeMap<&'static str, usize>,
    checked: Count,
    aborted: usize,
    longest: Duration,
}

impl Row {
    /// Nothing was injected yet; these commands were checked.
    pub(crate) fn new(checked: Count, aborted: Aborted) -> Self {
        let aborted = aborted.events + aborted.states + aborted.responses;
        Row { rounds: 1, checked, aborted, ..Row::default() }
    }

    /// The longest time to an answer.
    pub(crate) fn answered_within(self, longest: Duration) -> Self {
        Row { longest, ..self }
    }

    /// Something was injected.
    pub(crate) fn with(mut self, what: &'static str, times: usize) -> Self {
        *self.injected.entry(what).or_default() += times;
        self
    }

    pub(crate) fn and(mut self, next: Row) -> Self {
        self = next.injected.into_iter().fold(self, |row, (what, times)| row.with(what, times));
        self.rounds += next.rounds;
        self.checked.accepted += next.checked.accepted;
        self.checked.refused += next.checked.refused;
        self.aborted += next.aborted;
        self.longest = self.longest.max(next.longest);
        self
    }
}

static TABLE: Mutex<String> = Mutex::new(String::new());

/// Runs the rounds of a fault, and records what they have shown.
pub(crate) fn record(number: u32, name: &str, run: impl FnOnce() -> Row) {
    let row = catch_unwind(AssertUnwindSafe(run));
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    match &row {
        Ok(Row { rounds, injected, checked, aborted, longest }) => {
            let injected: Vec<_> = injected.iter().map(|(what, times)| format!("{times} x {what}")).collect();
            let (injected, accepted, refused) = (injected.join(", "), checked.accepted, checked.refused);
            let seconds = longest.as_secs_f64();
            let _ = writeln!(
                table,
                "| {number} | {name} | {rounds} | {injected} | {accepted} + {refused} | {aborted} | {seconds:.1} | passed |"
            );
        }
        Err(_) => {
            let _ = writeln!(table, "| {number} | {name} | | | | | | FAILED |");
        }
    }
    drop(table);
    if let Err(panic) = row {
        resume_unwind(panic);
    }
}

#[expect(clippy::print_stdout, reason = "the report")]
pub(crate) fn print() {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if !table.is_empty() {
        println!(
            "| fault | name | rounds | injected | commands checked (accepted + refused) | records aborted | longest answer, s | G1 to G8 |\n\
             |---|---|---|---|---|---|---|---|\n{table}"
        );
    }
}
