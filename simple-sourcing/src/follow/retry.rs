use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

/// The first pause, and the longest.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);

/// Ever longer pauses between attempts. They are random by a half, so that those who failed together don't try again together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next pause, and whether this attempt is worth a line in the log: the first one is, and then ever fewer.
    pub(super) fn next(&mut self) -> (Duration, bool) {
        let full = LONGEST.min(FIRST * 2_u32.saturating_pow(self.attempts.min(16)));
        self.attempts = self.attempts.saturating_add(1);
        // A new hasher has a random seed.
        let random = RandomState::new().hash_one(self.attempts) % 1000;
        (full / 2 + full / 2 * random as u32 / 1000, self.attempts.is_power_of_two())
    }

    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_begin_again() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next().0).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2, "{pauses:?}");
        assert!(pauses[20..].iter().all(|pause| *pause <= LONGEST && *pause >= LONGEST / 2), "{pauses:?}");
        assert!(pauses[20..].iter().any(|pause| *pause != pauses[20]), "they are random");
        backoff.reset();
        assert!(backoff.next().0 <= FIRST);
    }
}
