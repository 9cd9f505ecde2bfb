//! The first outcomes of command ids. Nearly every id is newer than all before it, so the ids of a batch share a few entries.
//! A late id gets an entry of its own, so that shared entries never overlap.

use fjall::{Keyspace, OwnedWriteBatch};

use super::events::read_failed;
use crate::{
    disk::{
        ids::{find, late_and_shared, number},
        record,
    },
    engine::Outcome,
    error::BackendError,
    model::CommandId,
};

/// The outcomes of one aggregate type.
pub(super) struct OutcomeLog {
    pub(super) name: &'static str,
    /// Partition, greatest id → ids and their outcomes.
    pub(super) entries: Keyspace,
    /// Partition, id → its outcome.
    pub(super) late: Keyspace,
}

impl OutcomeLog {
    /// Adds outcomes to a batch.
    pub(super) fn append(
        &self,
        batch: &mut OwnedWriteBatch,
        partition: u32,
        outcomes: &mut [(CommandId, &Outcome)],
        newest: u128,
    ) -> Result<(), BackendError> {
        let (late, shared) = late_and_shared(outcomes, newest);
        let mut bytes = Vec::new();
        for (id, outcome) in late {
            bytes.clear();
            record::write(outcome, &mut bytes)?;
            batch.insert(&self.late, key(partition, number(*id)), &*bytes);
        }
        for entry in shared {
            let Some((last, _)) = entry.last() else { continue };
            bytes.clear();
            record::write(&entry, &mut bytes)?;
            batch.insert(&self.entries, key(partition, number(*last)), &*bytes);
        }
        Ok(())
    }

    /// The outcome of an id.
    pub(super) fn get(&self, partition: u32, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        let what = || format!("the outcome of {} command {id}", self.name);
        if let Some(bytes) = self.late.get(key(partition, number(id))).map_err(|error| read_failed(what, error))? {
            return record::read(&mut &*bytes, what).map(Some);
        }
        let Some(entry) = self.entries.range(key(partition, number(id))..key(partition + 1, 0)).next() else {
            return Ok(None);
        };
        let bytes = entry.value().map_err(|error| read_failed(what, error))?;
        Ok(find(record::read(&mut &*bytes, what)?, id))
    }

    /// Removes the entries of ids in a range, at most `max`. Returns how many were removed.
    pub(super) fn forget(
        &self,
        batch: &mut OwnedWriteBatch,
        partition: u32,
        from: CommandId,
        to: CommandId,
        max: usize,
    ) -> Result<usize, BackendError> {
        let range = key(partition, number(from))..key(partition, number(to));
        let mut forgotten = 0;
        for keyspace in [&self.late, &self.entries] {
            for entry in keyspace.range(range.clone()).take(max - forgotten) {
                batch.remove(keyspace, entry.key().map_err(|error| read_failed(|| self.ids(), error))?);
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    fn ids(&self) -> String {
        format!("the command ids of {}", self.name)
    }

    /// The greatest id of a partition, as a number.
    pub(super) fn newest(&self, partition: u32) -> Result<u128, BackendError> {
        let mut newest = 0;
        for keyspace in [&self.late, &self.entries] {
            let last = keyspace.range(key(partition, 0)..key(partition + 1, 0)).next_back();
            let last = last.map(|entry| entry.key().map_err(|error| read_failed(|| self.ids(), error))).transpose()?;
            newest = newest.max(last.as_deref().and_then(<[u8]>::last_chunk).copied().map_or(0, u128::from_be_bytes));
        }
        Ok(newest)
    }
}

fn key(partition: u32, id: u128) -> [u8; 20] {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&partition.to_be_bytes());
    key[4..].copy_from_slice(&id.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use fjall::{Database, KeyspaceCreateOptions};

    use super::*;
    use crate::{
        codec::Fingerprint,
        engine::Answer,
        model::{Position, Sequence, Timestamp},
    };

    fn id(n: u64) -> CommandId {
        CommandId::first_of(Timestamp::from_millis(n))
    }

    fn outcome(n: u64) -> Outcome {
        let position = Position { partition: 0, offset: n };
        Outcome { fingerprint: Fingerprint::xxh3(n), position, answer: Answer::Accepted(Sequence::new(n)) }
    }

    fn open(directory: &tempfile::TempDir) -> (Database, OutcomeLog) {
        let database = Database::builder(directory.path()).open().unwrap();
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        let log = OutcomeLog { name: "account", entries: keyspace("entries"), late: keyspace("late") };
        (database, log)
    }

    #[test]
    fn an_id_is_found_whatever_its_batch_was_and_however_late_it_came() {
        let directory = tempfile::tempdir().unwrap();
        let (database, log) = open(&directory);
        // In no order within a batch, followed by some that lie between those before.
        let batches = [
            (10..300).map(|n| 10 * (n * 7 % 290 + 10)).collect::<Vec<_>>(),
            vec![455, 3000, 105, 2995, 3001, 1],
            (310..440).map(|n| 10 * n).collect(),
            vec![3105, 4400],
        ];
        let mut newest = 0;
        for numbers in &batches {
            let outcomes: Vec<_> = numbers.iter().map(|&n| (id(n), outcome(n))).collect();
            let mut batch = database.batch();
            let mut first: Vec<_> = outcomes.iter().map(|(id, outcome)| (*id, outcome)).collect();
            log.append(&mut batch, 3, &mut first, newest).unwrap();
            batch.commit().unwrap();
            newest = newest.max(outcomes.iter().map(|(id, _)| number(*id)).max().unwrap());
            assert_eq!(log.newest(3).unwrap(), newest);
        }
        let written: Vec<u64> = batches.concat();
        for n in 0..5000 {
            assert_eq!(log.get(3, id(n)).unwrap(), written.contains(&n).then(|| outcome(n)), "{n}");
            assert_eq!(log.get(2, id(n)).unwrap(), None, "of another partition");
        }
        let entries = log.entries.len().unwrap();
        assert!(entries < 12, "{} outcomes have {entries} entries", written.len());

        let mut batch = database.batch();
        let forgotten = log.forget(&mut batch, 3, id(0), id(3000), 1000).unwrap();
        batch.commit().unwrap();
        assert!((5..12).contains(&forgotten), "{forgotten}");
        for n in written {
            assert!(n < 3000 || log.get(3, id(n)).unwrap().is_some(), "{n} is forgotten too early");
        }
        assert_eq!(log.get(3, id(100)).unwrap(), None);
        assert_eq!(log.get(3, id(1)).unwrap(), None);
    }
}
