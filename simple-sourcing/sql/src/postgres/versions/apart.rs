use std::fmt;

/// How far apart two versions of a projection are in one partition of an aggregate type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Apart {
    /// The wire name of the aggregate type.
    pub aggregate: String,
    /// The partition.
    pub partition: u32,
    /// The offset of the next event of the old version.
    pub old_next: u64,
    /// The offset of the next event of the new version.
    pub new_next: u64,
}

impl Apart {
    /// Whether the new version, here, has not come to where the old one was there.
    pub(super) fn is_before(&self, goal: &Apart) -> bool {
        self.aggregate == goal.aggregate && self.partition == goal.partition && self.new_next < goal.old_next
    }
}

impl From<(String, i64, i64, i64)> for Apart {
    fn from((aggregate, partition, old_next, new_next): (String, i64, i64, i64)) -> Self {
        let partition = u32::try_from(partition).unwrap_or_default();
        Apart { aggregate, partition, old_next: old_next.cast_unsigned(), new_next: new_next.cast_unsigned() }
    }
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Apart { aggregate, partition, old_next, new_next } = self;
        let (offsets, word) = match new_next.checked_sub(*old_next) {
            Some(ahead) => (ahead, "ahead"),
            None => (old_next - new_next, "behind"),
        };
        write!(f, "{offsets} offsets {word} in partition {partition} of `{aggregate}` (at {new_next}, not {old_next})")
    }
}
