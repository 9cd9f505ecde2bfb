//! Following the event log: [streams](EventStream), [views](View) in memory, and [followers](Follower) for everything else
//! that is built from events.
//!
//! ```text
//!  port ─▶ feed ─▶ EventStream                                  the caller pulls
//!           └────▶ source ─▶ partition ─▶ Subscriber ◀─ View     events are pushed, in batches
//!                              └─▶ progress ─▶ wait_for, caught_up, status
//! ```
//!
//! | file | what it knows |
//! |---|---|
//! | `follower.rs` | which partitions are followed here, and who waits for them |
//! | `source.rs` | shares one reader of the log among partitions |
//! | `partition.rs` | gives the subscriber the events of one partition: in order, again if that may help, one by one if some fail |
//! | `aside.rs` | which events are parked or skipped |
//! | `again.rs` | applies parked events again |
//! | `progress.rs` | how far each partition is |
//! | `watched.rs` | the status of a follower, whenever it has changed |
//! | `sequences.rs` | whether an event is the next one of its aggregate |

mod again;
mod aside;
mod batch;
mod checkpoint;
mod decode;
mod failure;
mod follower;
mod followers;
mod guarded;
mod partition;
mod progress;
mod retry;
mod sequences;
mod source;
mod stream;
mod subscriber;
mod view;
mod watched;

pub use batch::Batch;
pub use checkpoint::Checkpoint;
pub(crate) use decode::describe;
pub use failure::{ApplyError, FailedEvent, OnFailure};
pub use follower::{Follower, NewFollower};
pub(crate) use followers::Followers;
pub use progress::{FollowedPartition, FollowerState, FollowerStatus, Parked};
pub(crate) use progress::{Here, Progress, ends};
pub(crate) use sequences::Sequences;
pub use stream::EventStream;
pub use subscriber::{Resume, Subscriber};
pub use view::{View, ViewOptions};
pub(crate) use watched::Watched;
