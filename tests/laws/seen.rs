//! The ids that a partition remembers in memory are the same as in a plain map.

use std::{collections::BTreeMap, time::Duration};

use proptest::{collection::vec, prelude::*};
use simple_sourcing::{
    CommandId, Position, Sequence, Timestamp,
    codec::Fingerprint,
    engine::{Answer, Outcome, SeenIds},
};

const WINDOW: Duration = Duration::from_millis(300);

/// A time in milliseconds, and what distinguishes an id from others with the same time.
type Id = (u64, u64);

fn id((millis, number): Id) -> CommandId {
    let text = format!("{:08x}-{:04x}-7000-8000-{number:012x}", millis >> 16, millis & 0xffff);
    text.parse().expect("it is a UUID of version 7")
}

fn outcome(n: usize) -> Outcome {
    let position = Position { partition: 0, offset: n as u64 };
    Outcome { fingerprint: Fingerprint::xxh3(n as u64), position, answer: Answer::Accepted(Sequence::new(n as u64)) }
}

/// Ids in the order of arrival: most are later than those before, some much earlier.
fn ids() -> impl Strategy<Value = Vec<Id>> {
    let one = (prop_oneof![8 => Just(0), 1 => -3..3_i64, 1 => -400..100_i64], 0..50_u64);
    vec(one, 0..1500).prop_map(|all| {
        let ids = all.into_iter().zip(0_i64..);
        ids.map(|((away, number), at)| ((500 + at / 4 + away).unsigned_abs(), number)).collect()
    })
}

proptest! {
    #[test]
    fn what_is_remembered_is_what_a_map_would_have(ids in ids(), ids_max in prop_oneof![Just(usize::MAX), 1..700_usize]) {
        let (mut seen, mut map, mut now) = (SeenIds::default(), BTreeMap::new(), 0);
        for (n, &(millis, number)) in ids.iter().enumerate() {
            now = now.max(millis);
            let log_time = Timestamp::from_millis(now);
            seen.insert(id((millis, number)), outcome(n), log_time, WINDOW, ids_max);
            map.insert((millis, number), outcome(n));
            let horizon = log_time.before(WINDOW).as_millis();
            while map.first_key_value().is_some_and(|(oldest, _)| oldest.0 < horizon) || map.len() > ids_max {
                let ((forgotten, _), _) = map.pop_first().expect("there is one");
                prop_assert!(seen.forgotten_before() > Timestamp::from_millis(forgotten));
            }
            prop_assert_eq!(seen.len(), map.len());
        }
        prop_assert_eq!(seen.is_empty(), map.is_empty());
        for one in ids {
            prop_assert_eq!(seen.get(id(one)), map.get(&one));
        }
    }
}
