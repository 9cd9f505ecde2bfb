use std::io::Cursor;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use super::{
    super::mark::{self, Mark},
    *,
};

const STORE: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

const PAGE: usize = 4096;

/// The journal of a store with some batches, and where they end. `bytes` has the length of each value; long values are not
/// compressed, because they are random. A mark says what was synced when its batch began.
fn journal(bytes: &[usize], synced: Option<fn(u64) -> u64>) -> (Vec<u8>, Vec<usize>) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::builder(directory.path()).open().unwrap();
    let keyspace = database.keyspace("a", KeyspaceCreateOptions::default).unwrap();
    let (path, mut random, mut ends) = (directory.path().join("0.jnl"), 88_172_645_463_325_252_u64, Vec::new());
    for (n, bytes) in (1..).zip(bytes) {
        let value: Vec<u8> = (0..*bytes).map(|_| next(&mut random)).collect();
        let mut batch = database.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&keyspace, n.to_string(), value);
        if let Some(synced) = synced {
            batch.insert(&keyspace, mark::KEY, Mark { number: n, synced: synced(n) }.to_bytes(STORE));
        }
        batch.remove(&keyspace, (n - 1).to_string());
        batch.commit().unwrap();
        let mut start = vec![0; 1024 * 1024];
        File::open(&path).unwrap().read_exact(&mut start).unwrap();
        ends.push(start.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    }
    database.persist(PersistMode::SyncAll).unwrap();
    assert!(matches!(check(directory.path()), Err(JournalError::InUse)));
    drop((keyspace, database));
    check(directory.path()).unwrap();
    (fs::read(path).unwrap(), ends)
}

/// No pattern, so that nothing is compressed; it still contains the trailer of a batch, which a client may send.
fn next(random: &mut u64) -> u8 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random as u8
}

/// What is behind the last complete batch, and how far the complete batches go.
fn look_at(journal: &[u8], known: Known) -> (Tail, u64) {
    let mut walk = Walk::default();
    let tail = super::walk(Cursor::new(journal), &mut walk, known, false).unwrap();
    (tail, walk.end)
}

fn marked(synced: u64) -> Known {
    Known { store: Some(STORE), synced }
}

#[test]
fn damage_is_found_wherever_it_is_and_half_a_batch_at_the_end_is_none() {
    for known in [Known::default(), marked(0)] {
        let synced: fn(u64) -> u64 = |n| n - 1;
        let (journal, ends) = journal(&[10, 5_000, 20, 5_000, 30], known.store.map(|_| synced));
        let [.., last_batch, end] = *ends else { panic!("there are some batches") };
        assert_eq!(look_at(&journal, known), (Tail::Clean, end as u64));
        for length in last_batch + 1..end {
            let (tail, cut_at) = look_at(&journal[..length], known);
            assert!(matches!(tail, Tail::Torn { batches: 1, .. }), "cut at {length}: {tail:?}");
            assert_eq!(cut_at, last_batch as u64);
        }
        // Every byte, but few of those in long values.
        let is_near_an_end = |at: usize| ends.iter().any(|end| at.abs_diff(*end) < 60);
        for at in (0..last_batch).filter(|at| at % 97 == 0 || is_near_an_end(*at)) {
            let mut damaged = journal[..end].to_vec();
            damaged[at] ^= 0x55;
            assert_eq!(look_at(&damaged, known).0, Tail::Damaged, "flipped at {at}");
        }
    }
}

#[test]
fn an_unsynced_batch_is_cut_off_whichever_of_its_pages_are_missing() {
    let (journal, ends) = journal(&[10, 9_000, 10, 40_000], Some(|n| n - 1));
    let [.., from, end] = *ends else { panic!("there are some batches") };
    let pages: Vec<_> = (from / PAGE..=(end - 1) / PAGE).collect();
    assert!(pages.len() > 9);
    let without = |missing: &dyn Fn(usize) -> bool| {
        let mut torn = journal[..end].to_vec();
        for page in pages.iter().filter(|page| missing(**page)) {
            torn[(page * PAGE).max(from)..((page + 1) * PAGE).min(end)].fill(0);
        }
        look_at(&torn, marked(3))
    };
    let missing_sets = 1..1_u32 << pages.len();
    for set in missing_sets.step_by(37).chain((0..pages.len()).map(|page| 1 << page)) {
        let (tail, cut_at) = without(&|page| set >> (page - pages[0]) & 1 == 1);
        assert_eq!(cut_at, from as u64, "pages {set:b} are missing");
        assert!(matches!(tail, Tail::Clean | Tail::Torn { batches: 1, .. }), "pages {set:b} are missing: {tail:?}");
    }
}

#[test]
fn unsynced_batches_are_cut_off_from_the_first_that_lacks_a_page() {
    // As in the relaxed mode: three were synced, the others were written within the same second.
    let (journal, ends) = journal(&[3_000; 20], Some(|n| (n - 1).min(3)));
    let end = *ends.last().unwrap();
    for page in ends[2] / PAGE + 1..end / PAGE {
        let mut torn = journal[..end].to_vec();
        torn[page * PAGE..(page + 1) * PAGE].fill(0);
        let kept = ends.iter().filter(|end| **end <= page * PAGE).count();
        let (tail, cut_at) = look_at(&torn, marked(3));
        assert_eq!(cut_at, ends[kept - 1] as u64);
        // Nothing may be left of the last batch that says its number.
        let lost = 20 - kept as u64;
        assert!(matches!(tail, Tail::Torn { batches, .. } if batches == lost || batches + 1 == lost), "{tail:?}");
    }
    let mut damaged = journal[..end].to_vec();
    damaged[ends[1] + 100..ends[1] + 200].fill(0);
    assert_eq!(look_at(&damaged, marked(0)).0, Tail::Damaged, "a later batch says that it was synced");
}

#[test]
fn the_last_batch_is_not_cut_off_when_it_is_known_to_have_been_synced() {
    let (journal, ends) = journal(&[10, 20, 9_000], Some(|n| n - 1));
    let [.., from, end] = *ends else { panic!("there are some batches") };
    let mut damaged = journal[..end].to_vec();
    damaged[from + PAGE] ^= 1;
    assert_eq!(look_at(&damaged, marked(3)).0, Tail::Damaged);
    assert!(matches!(look_at(&damaged, marked(2)).0, Tail::Torn { .. }));
}

#[test]
fn a_batch_that_is_left_out_is_found() {
    let (journal, ends) = journal(&[10, 20, 30], Some(|n| n - 1));
    let without_second = [&journal[..ends[0]], &journal[ends[1]..]].concat();
    assert_eq!(look_at(&without_second, marked(0)), (Tail::Damaged, ends[0] as u64));
}

#[test]
fn a_journal_that_has_a_successor_is_whole() {
    let (journal, ends) = journal(&[10, 20], Some(|n| n - 1));
    let sealed = Cursor::new(&journal[..ends[1] - 1]);
    assert_eq!(super::walk(sealed, &mut Walk::default(), marked(0), true).unwrap(), Tail::Damaged);
}

#[test]
fn what_is_recovered_is_written_once_more_and_the_rest_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, ends) = journal(&[10, 20, 9_000], Some(|n| n - 1));
    let path = directory.path().join("0.jnl");
    fs::write(&path, &journal[..ends[2] - 1]).unwrap();
    let journals = look(directory.path(), marked(2)).unwrap();
    assert_eq!(journals.torn(), Some(((ends[2] - 1 - ends[1]) as u64, 1)));
    journals.secure().unwrap();
    assert_eq!(fs::read(&path).unwrap(), &journal[..ends[1]]);
}

#[test]
fn a_journal_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for number in [3, 4, 6] {
        fs::write(directory.path().join(format!("{number}.jnl")), []).unwrap();
    }
    let error = look(directory.path(), Known::default()).unwrap_err();
    assert!(error.to_string().contains("5.jnl` is missing"), "{error}");
}
