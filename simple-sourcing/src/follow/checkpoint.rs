use serde::{Deserialize, Serialize};

use crate::model::{Receipt, Sequence};

/// How far a follower is in one partition of one aggregate type. A [`Subscriber`](super::Subscriber) stores it together with
/// what it makes of the events. The default is the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The offset of the next event.
    pub next: u64,
    /// The offset of the last event's command.
    pub command_offset: u64,
    /// The sequence of the last event in its aggregate; 0 if there was none.
    pub sequence: Sequence,
    /// How often somebody has steered the subscriber past the follower, such as by setting it back. A store that allows it
    /// raises this each time, so whoever writes at an earlier epoch has lost the partition. 0 otherwise.
    #[serde(default)]
    pub epoch: u64,
}

impl Checkpoint {
    /// Behind an event at this offset, whose command and sequence are these.
    pub const fn after(offset: u64, command_offset: u64, sequence: Sequence) -> Self {
        Checkpoint { next: offset + 1, command_offset, sequence, epoch: 0 }
    }

    /// The same in another epoch.
    #[must_use]
    pub const fn in_epoch(self, epoch: u64) -> Self {
        Checkpoint { epoch, ..self }
    }

    /// Whether nothing is before it.
    pub(super) fn is_beginning(&self) -> bool {
        self.in_epoch(0) == Checkpoint::default()
    }

    /// Whether all events of the command with this receipt are before it. The receipt must belong to this partition.
    pub fn holds(&self, receipt: &Receipt) -> bool {
        let (offset, sequence) = (receipt.position.offset, receipt.sequence);
        let is_anything_seen = self.sequence > Sequence::ZERO;
        // The events of one command are consecutive, and the receipt names the last one.
        let is_seen = self.command_offset > offset || (self.command_offset == offset && self.sequence >= sequence);
        // Without a sequence, nothing has ever happened, so there is nothing to wait for.
        (is_anything_seen && is_seen) || sequence == Sequence::ZERO
    }
}
