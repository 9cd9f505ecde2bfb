/// How many answers to others must be read within a second to count as a load.
const OTHERS_MIN: u32 = 1_000;

/// And how many times as many as one's own.
const OTHERS_PER_OWN: u32 = 4;

/// How many of the answers that were read in the last second or so were for this process.
#[derive(Debug, Default)]
pub(super) struct Share {
    own: u32,
    others: u32,
}

impl Share {
    pub(super) fn count(&mut self, is_own: bool) {
        *if is_own { &mut self.own } else { &mut self.others } += 1;
    }

    /// Whether it is a load, and most of it is for others.
    pub(super) fn is_small(&self) -> bool {
        self.others >= OTHERS_MIN && self.others / OTHERS_PER_OWN >= self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small_where_there_is_much_and_most_of_it_for_others() {
        for (own, others, is_small) in [
            (0, 999, false),
            (0, 1_000, true),
            (250, 1_000, true),
            (251, 1_000, false),
            (10_000, 39_999, false),
            (10_000, 40_000, true),
            (10_000, 0, false),
        ] {
            let mut share = Share::default();
            (0..own).for_each(|_| share.count(true));
            (0..others).for_each(|_| share.count(false));
            assert_eq!(share.is_small(), is_small, "{share:?}");
        }
    }
}
