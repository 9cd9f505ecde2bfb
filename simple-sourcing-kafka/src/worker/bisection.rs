//! Finds the command whose record the broker rejects, because it is too long for a topic or against a policy. Written
//! again, it would be rejected again. A batch is one transaction, so all other commands in it would wait for ever.
//!
//! The batch is aborted and runs again with an eighth of the commands, and so on, down to a single command. That one is
//! answered as poison. Batches grow again once everything in the first one is done.

use std::collections::BTreeMap;

use simple_sourcing::{BackendError, Position, engine::Shard};

/// Aborting a batch takes up to a second, because it takes new producers; writing one takes some milliseconds.
const PARTS: usize = 8;

#[derive(Default)]
pub(super) struct Bisection {
    /// The most commands in a batch, while the search goes on.
    commands_max: Option<usize>,
    /// The end of the search, by partition.
    until: BTreeMap<Shard, i64>,
    /// The commands that were found and are not done, at most one in each partition, and why they must not run.
    found: BTreeMap<Shard, (i64, String)>,
}

impl Bisection {
    /// The most commands in the next batch.
    pub(super) fn commands_max(&self, usual: usize) -> usize {
        self.commands_max.unwrap_or(usual)
    }

    /// Why a command must not run.
    pub(super) fn cause(&self, shard: Shard, position: Position) -> Option<&str> {
        let (offset, cause) = self.found.get(&shard)?;
        (*offset as u64 == position.offset).then_some(cause.as_str())
    }

    /// The broker has rejected a record of a batch with this many records and these ends.
    ///
    /// # Errors
    /// If leaving out a command would not help, because the rejected record does not come from one.
    pub(super) fn refused(
        &mut self,
        commands: usize,
        next: &BTreeMap<Shard, i64>,
        is_command: bool,
        error: &BackendError,
    ) -> Result<(), BackendError> {
        for (&shard, &next) in next {
            let until = self.until.entry(shard).or_insert(next);
            *until = next.max(*until);
        }
        self.commands_max = Some((commands / PARTS).max(1));
        let Some((&shard, &next)) = next.first_key_value().filter(|_| commands == 1) else { return Ok(()) };
        let offset = next - 1;
        if !is_command || self.found.get(&shard).is_some_and(|(found, _)| *found == offset) {
            return Err(error.clone());
        }
        self.found.insert(shard, (offset, format!("the broker refuses a record that the command leads to: {error}")));
        Ok(())
    }

    /// All commands before these offsets are done.
    pub(super) fn done(&mut self, next: &BTreeMap<Shard, i64>) {
        if self.commands_max.is_none() {
            return;
        }
        self.until.retain(|shard, until| next.get(shard).is_none_or(|next| next < until));
        self.found.retain(|shard, (offset, _)| next.get(shard).is_none_or(|next| *next <= *offset));
        self.grow_again();
    }

    /// The partition is no longer served.
    pub(super) fn forget(&mut self, shard: Shard) {
        self.until.remove(&shard);
        self.found.remove(&shard);
        self.grow_again();
    }

    fn grow_again(&mut self) {
        if self.until.is_empty() {
            self.commands_max = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use simple_sourcing::engine::AggregateIndex;

    use super::*;

    const USUAL: usize = 5000;
    const SHARD: Shard = Shard { aggregate: AggregateIndex::new(0), partition: 3 };

    fn position(offset: u64) -> Position {
        Position { partition: 3, offset }
    }

    fn ends(next: i64) -> BTreeMap<Shard, i64> {
        BTreeMap::from([(SHARD, next)])
    }

    /// Runs batches of commands, one of which leads to a rejected record. Returns the sizes of the batches.
    fn find(culprit: i64, end: i64) -> (Bisection, Vec<usize>) {
        let (mut bisection, error) = (Bisection::default(), BackendError::failed("too long"));
        let (mut next, mut batches) = (0, Vec::new());
        while next < end {
            let commands = bisection.commands_max(USUAL).min((end - next) as usize);
            batches.push(commands);
            let batch_end = next + commands as i64;
            if (next..batch_end).contains(&culprit) && bisection.cause(SHARD, position(culprit as u64)).is_none() {
                bisection.refused(commands, &ends(batch_end), true, &error).expect("it comes of a command");
            } else {
                next = batch_end;
                bisection.done(&ends(next));
            }
        }
        (bisection, batches)
    }

    #[test]
    fn the_command_is_found_by_parts_and_the_batches_grow_again() {
        let (bisection, batches) = find(26, 100);
        assert_eq!(batches[..6], [100, 12, 12, 12, 1, 1], "it is in the third part, and closed in on");
        assert_eq!(bisection.commands_max(USUAL), USUAL);
        assert!(bisection.cause(SHARD, position(70)).is_none(), "it is done");
        for culprit in 0..40 {
            find(culprit, 40);
        }
    }

    #[test]
    fn what_comes_of_no_command_is_an_error() {
        let error = BackendError::failed("too long");
        let mut bisection = Bisection::default();
        assert_eq!(bisection.refused(1, &ends(8), false, &error), Err(error.clone()), "a record that is no command");

        bisection.refused(1, &ends(8), true, &error).expect("it is left out");
        let cause = bisection.cause(SHARD, position(7)).expect("it is found").to_owned();
        assert!(cause.contains("too long"), "{cause}");
        assert_eq!(bisection.refused(1, &ends(8), true, &error), Err(error), "its answer is refused, too");
    }

    #[test]
    fn a_partition_that_is_taken_away_is_not_waited_for() {
        let mut bisection = Bisection::default();
        bisection.refused(1, &ends(8), true, &BackendError::failed("too long")).expect("it is left out");
        bisection.forget(SHARD);
        assert_eq!((bisection.commands_max(USUAL), bisection.cause(SHARD, position(7))), (USUAL, None));
    }
}
