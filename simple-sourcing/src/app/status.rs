use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    engine::{AggregateIndex, Definition, Shard},
    error::BackendError,
    follow::{FollowerState, FollowerStatus, Followers, Progress, ends},
    one_line::OneLine,
    port::{PartitionState, Port, PortStatus, WorkerStatus},
};

/// What an app is doing in one process. Shown, it is a text for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The app's name.
    pub app: String,
    /// The aggregate types, in the order in which they were added.
    pub aggregates: Vec<AggregateStatus>,
    /// The workers that decide commands in this process; none if it serves nothing.
    pub workers: Vec<WorkerStatus>,
    /// The views and followers of this process.
    pub followers: Vec<FollowerStatus>,
    /// What keeps the backend from working as it should.
    pub problems: Vec<String>,
}

/// An aggregate type of an app.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AggregateStatus {
    /// The wire name, e.g. `account`.
    pub name: &'static str,
    /// How many partitions it has, wherever they are served.
    pub partitions: u32,
    /// How many events there are. On Kafka it is a few more than there are, because transactions take up offsets.
    pub events: u64,
    /// The partitions that this process serves, is about to, or has a copy of.
    pub served: Vec<ServedPartition>,
}

/// What this process does with a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServedPartition {
    /// The partition.
    pub partition: u32,
    /// What it does.
    pub state: PartitionState,
}

/// Collects the status of an app.
pub(super) async fn read(
    port: &dyn Port,
    definition: &Definition,
    followers: &Followers,
) -> Result<Status, BackendError> {
    let ends = ends(port, AggregateIndex::each(&definition.aggregates).map(|(index, _)| index).collect()).await?;
    let PortStatus { workers, partitions, problems } = port.status();
    let aggregate = |(index, name): (AggregateIndex, &'static str)| {
        let of_this_type = |(Shard { aggregate, partition }, state): &(Shard, PartitionState)| {
            (*aggregate == index).then_some(ServedPartition { partition: *partition, state: *state })
        };
        let partitions_of_it = port.partitions(index);
        let end = |partition| ends.get(&index).map_or(0, |end| end.next(partition));
        AggregateStatus {
            name,
            partitions: partitions_of_it,
            events: (0..partitions_of_it).map(end).sum(),
            served: partitions.iter().filter_map(of_this_type).collect(),
        }
    };
    let names = definition.aggregates.iter().map(|aggregate| aggregate.name);
    let follower = |progress: Arc<Progress>| progress.status(&ends);
    Ok(Status {
        app: definition.name.clone(),
        aggregates: AggregateIndex::each(names).map(aggregate).collect(),
        workers,
        followers: followers.all().into_iter().map(follower).collect(),
        problems,
    })
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { app, aggregates, workers, followers, problems } = self;
        writeln!(f, "app {app}")?;
        for AggregateStatus { name, partitions, events, served } in aggregates {
            let count = |is: fn(PartitionState) -> bool| served.iter().filter(|served| is(served.state)).count();
            let serving = count(|state| state == PartitionState::Serving);
            let restoring = count(|state| matches!(state, PartitionState::Restoring { .. }));
            let copies = count(|state| matches!(state, PartitionState::Standby { .. }));
            write!(f, "  aggregate {name}: {events} events, {serving} of {partitions} partitions served here")?;
            if restoring > 0 {
                write!(f, ", {restoring} being restored")?;
            }
            if copies > 0 {
                write!(f, ", {copies} copied")?;
            }
            writeln!(f)?;
        }
        for WorkerStatus { name, commands, batches, restarts, last_error } in workers {
            write!(f, "  worker {name}: {commands} commands in {batches} batches")?;
            if *restarts > 0 {
                write!(f, ", started over {restarts} times")?;
            }
            if let Some(error) = last_error {
                write!(f, ", last because {}", OneLine(error))?;
            }
            writeln!(f)?;
        }
        for follower in followers {
            show_follower(f, follower)?;
        }
        problems.iter().try_for_each(|problem| writeln!(f, "  problem: {}", OneLine(problem)))
    }
}

fn show_follower(f: &mut fmt::Formatter<'_>, follower: &FollowerStatus) -> fmt::Result {
    let FollowerStatus { name, partitions, stopped } = follower;
    let lag: u64 = partitions.iter().filter_map(|partition| partition.lag_events).sum();
    let parked: usize = partitions.iter().map(|partition| partition.parked).sum();
    let seconds = partitions.iter().filter_map(|partition| partition.lag_seconds).fold(0.0, f64::max);
    write!(f, "  follower {name}: {} partitions, ", partitions.len())?;
    match lag {
        0 => write!(f, "caught up")?,
        _ => write!(f, "{lag} events behind, {seconds:.1} s")?,
    }
    if parked > 0 {
        write!(f, ", {parked} events parked")?;
    }
    if let Some(error) = stopped {
        write!(f, ", stopped: {}", OneLine(error))?;
    }
    writeln!(f)?;
    for partition in partitions {
        let what = match partition.state {
            FollowerState::Retrying { seconds } => format!("trying again for {seconds} s"),
            FollowerState::Stopped => "stopped".to_owned(),
            FollowerState::Paused => "paused".to_owned(),
            FollowerState::CaughtUp | FollowerState::CatchingUp => continue,
        };
        write!(f, "    {} partition {}: {what}", partition.aggregate, partition.partition)?;
        if let Some(error) = &partition.last_error {
            write!(f, ": {}", OneLine(error))?;
        }
        writeln!(f)?;
    }
    Ok(())
}
