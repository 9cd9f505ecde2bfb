//! The rows that the library keeps itself: positions, and parked events. Both databases have the same ones.

/// Writes, for a database, the functions that read and write these rows: its connection, what the names of the tables begin
/// with, the current time, and what locks a row that is read.
macro_rules! records {
    ($connection:ty, $tables:literal, $now:literal, $lock:literal) => {
        use simple_sourcing::{
            Position, Sequence,
            engine::{Logged, brief},
            follow::{Batch, Checkpoint, Resume},
            projection::{ParkedCause, Part, Stored, StoredPosition},
        };

        use crate::text;

        /// How many parked events are tried again at once.
        const RETRIED_MAX: i64 = 1000;

        /// The position, if there is one, and then what is parked or skipped. A key that somebody parks in between is one too
        /// many: the next transaction finds the position moved, so nothing comes of it.
        pub(super) async fn resume(connection: &mut $connection, part: &Part) -> sqlx::Result<Option<Resume>> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let (projection, aggregate) = (&**projection, &**aggregate);
            let (version, partition) = (i64::from(*version), i64::from(*partition));
            let position = sqlx::query_as::<_, (i64, i64, i64, i64, bool)>(concat!(
                "SELECT next, command_offset, sequence, positions.epoch, is_paused FROM ",
                $tables,
                "positions AS positions JOIN ",
                $tables,
                "projections AS projections ON name = projection AND projections.version = positions.version \
                 WHERE projection = $1 AND positions.version = $2 AND aggregate = $3 AND partition = $4"
            ));
            let position = position.bind(projection).bind(version).bind(aggregate).bind(partition);
            let position = position.fetch_optional(&mut *connection).await?;
            let Some((next, command_offset, sequence, epoch, is_paused)) = position else { return Ok(None) };
            let keys = sqlx::query_as::<_, (String,)>(concat!(
                "SELECT DISTINCT key FROM ",
                $tables,
                "parked WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4"
            ));
            let keys = keys.bind(projection).bind(version).bind(aggregate).bind(partition);
            let keys = keys.fetch_all(&mut *connection).await?;
            let retried = sqlx::query_as::<_, (i64,)>(concat!(
                "SELECT event_offset FROM ",
                $tables,
                "parked WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 AND is_retried \
                 ORDER BY event_offset LIMIT $5"
            ));
            let retried = retried.bind(projection).bind(version).bind(aggregate).bind(partition).bind(RETRIED_MAX);
            let retried = retried.fetch_all(&mut *connection).await?;
            let skipped = sqlx::query_as::<_, (i64,)>(concat!(
                "SELECT event_offset FROM ",
                $tables,
                "skipped WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 AND event_offset >= $5"
            ));
            let skipped = skipped.bind(projection).bind(version).bind(aggregate).bind(partition).bind(next);
            let skipped = skipped.fetch_all(connection).await?;
            let offsets = |rows: Vec<(i64,)>| rows.into_iter().map(|(offset,)| offset.cast_unsigned()).collect();
            let checkpoint = checkpoint((next, command_offset, sequence, epoch));
            let mut resume = Resume::parked(checkpoint, keys.into_iter().map(|(key,)| text::read(key)).collect());
            (resume.is_paused, resume.skipped, resume.retried) = (is_paused, offsets(skipped), offsets(retried));
            Ok(Some(resume))
        }

        fn checkpoint((next, command_offset, sequence, epoch): (i64, i64, i64, i64)) -> Checkpoint {
            let mut checkpoint = Checkpoint::default();
            checkpoint.next = next.cast_unsigned();
            checkpoint.command_offset = command_offset.cast_unsigned();
            checkpoint.sequence = Sequence::new(sequence.cast_unsigned());
            checkpoint.in_epoch(epoch.cast_unsigned())
        }

        /// Puts a position at the beginning, if there is none. Whoever steers the projection at the same time comes before it,
        /// or finds the position.
        pub(super) async fn enter(connection: &mut $connection, part: &Part) -> sqlx::Result<()> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let statement = sqlx::query(concat!(
                "INSERT INTO ",
                $tables,
                "positions (projection, version, aggregate, partition, next, command_offset, sequence, epoch, updated_at) \
                 SELECT name, version, $3, $4, 0, 0, 0, epoch, ",
                $now,
                " FROM ",
                $tables,
                "projections WHERE name = $1 AND version = $2 ",
                $lock,
                " ON CONFLICT (projection, version, aggregate, partition) DO NOTHING"
            ));
            let statement = statement.bind(&**projection).bind(i64::from(*version));
            let statement = statement.bind(&**aggregate).bind(i64::from(*partition));
            statement.execute(connection).await.map(drop)
        }

        /// Moves the position, if it is where it should be; returns whether it was. Until the transaction ends, nobody else
        /// moves it.
        pub(super) async fn advance(
            connection: &mut $connection,
            part: &Part,
            before: Checkpoint,
            after: Checkpoint,
        ) -> sqlx::Result<bool> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let statement = sqlx::query(concat!(
                "UPDATE ",
                $tables,
                "positions SET next = $5, command_offset = $6, sequence = $7, updated_at = ",
                $now,
                " WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 \
                 AND next = $8 AND command_offset = $9 AND sequence = $10 AND epoch = $11"
            ));
            let statement = statement.bind(&**projection).bind(i64::from(*version));
            let statement = statement.bind(&**aggregate).bind(i64::from(*partition));
            let columns = |at: Checkpoint| [at.next, at.command_offset, at.sequence.get()].map(u64::cast_signed);
            let values = columns(after).into_iter().chain(columns(before)).chain([before.epoch.cast_signed()]);
            let statement = values.fold(statement, |statement, value| statement.bind(value));
            Ok(statement.execute(connection).await?.rows_affected() == 1)
        }

        /// Stores the events of a batch as parked.
        pub(super) async fn park(
            connection: &mut $connection,
            part: &Part,
            batch: &Batch,
            cause: &str,
        ) -> sqlx::Result<()> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let (projection, aggregate) = (&**projection, &**aggregate);
            let cause = brief(cause.to_owned());
            for Logged { offset, record } in batch.records() {
                let statement = sqlx::query(concat!(
                    "INSERT INTO ",
                    $tables,
                    "parked (projection, version, aggregate, partition, event_offset, command_offset, sequence, key, \
                     event_name, payload, content_type, schema_version, cause, parked_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, ",
                    $now,
                    ") ON CONFLICT (projection, version, aggregate, partition, event_offset) DO UPDATE SET \
                     cause = excluded.cause"
                ));
                let statement = statement.bind(projection).bind(i64::from(*version));
                let statement = statement.bind(aggregate).bind(i64::from(*partition));
                let Position { offset: command_offset, .. } = record.command_position;
                let statement = statement.bind(offset.cast_signed()).bind(command_offset.cast_signed());
                let statement = statement.bind(record.sequence.get().cast_signed());
                let statement = statement.bind(text::stored(&record.key)).bind(text::stored(&record.name));
                let (payload, encoding) = (&record.payload, &record.payload.encoding);
                let statement = statement.bind(&payload.bytes[..]).bind(encoding.content_type());
                let statement = statement.bind(i64::from(encoding.schema_version())).bind(text::stored(&cause));
                statement.execute(&mut *connection).await?;
                if batch.is_retried() {
                    retry_no_more(&mut *connection, part, &record.key).await?;
                }
            }
            Ok(())
        }

        /// An event of the key has failed again.
        async fn retry_no_more(connection: &mut $connection, part: &Part, key: &str) -> sqlx::Result<()> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let statement = sqlx::query(concat!(
                "UPDATE ",
                $tables,
                "parked SET is_retried = FALSE \
                 WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 AND key = $5"
            ));
            let statement = statement.bind(&**projection).bind(i64::from(*version));
            let statement = statement.bind(&**aggregate).bind(i64::from(*partition)).bind(text::stored(key));
            statement.execute(connection).await.map(drop)
        }

        /// Parks the events of a batch no longer.
        pub(super) async fn unpark(connection: &mut $connection, part: &Part, batch: &Batch) -> sqlx::Result<()> {
            for Logged { offset, .. } in batch.records() {
                remove_parked(&mut *connection, part, *offset).await?;
            }
            Ok(())
        }

        /// Returns whether the event was parked.
        pub(super) async fn remove_parked(connection: &mut $connection, part: &Part, offset: u64) -> sqlx::Result<bool> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let statement = sqlx::query(concat!(
                "DELETE FROM ",
                $tables,
                "parked WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 AND event_offset = $5"
            ));
            let statement = statement.bind(&**projection).bind(i64::from(*version));
            let statement = statement.bind(&**aggregate).bind(i64::from(*partition)).bind(offset.cast_signed());
            Ok(statement.execute(connection).await?.rows_affected() > 0)
        }

        /// Keeps which aggregate types a version follows.
        pub(super) async fn follows(
            connection: &mut $connection,
            projection: &str,
            version: u32,
            aggregates: &[&'static str],
        ) -> sqlx::Result<()> {
            let statement = sqlx::query(concat!(
                "UPDATE ",
                $tables,
                "projections SET aggregates = $3 WHERE name = $1 AND version = $2 AND aggregates <> $3"
            ));
            let statement = statement.bind(projection).bind(i64::from(version)).bind(aggregates.join("\n"));
            statement.execute(connection).await.map(drop)
        }

        /// What is known of a version.
        pub(super) async fn find(
            connection: &mut $connection,
            projection: &str,
            version: u32,
        ) -> sqlx::Result<Option<Stored>> {
            let found = sqlx::query_as::<_, (String, i64, bool)>(concat!(
                "SELECT aggregates, epoch, is_paused FROM ",
                $tables,
                "projections WHERE name = $1 AND version = $2"
            ));
            let found = found.bind(projection).bind(i64::from(version)).fetch_optional(&mut *connection).await?;
            let Some((aggregates, epoch, is_paused)) = found else { return Ok(None) };
            let positions = sqlx::query_as::<_, (String, i64, i64, i64, i64)>(concat!(
                "SELECT aggregate, partition, next, command_offset, sequence FROM ",
                $tables,
                "positions WHERE projection = $1 AND version = $2 ORDER BY aggregate, partition"
            ));
            let positions = positions.bind(projection).bind(i64::from(version)).fetch_all(connection).await?;
            let position = |(aggregate, partition, next, command_offset, sequence): (String, i64, i64, i64, i64)| {
                let partition = u32::try_from(partition).unwrap_or_default();
                StoredPosition::new(aggregate, partition, checkpoint((next, command_offset, sequence, epoch)))
            };
            let aggregates = aggregates.lines().map(ToOwned::to_owned).collect();
            let positions = positions.into_iter().map(position).collect();
            Ok(Some(Stored::new(aggregates, positions, epoch.cast_unsigned(), is_paused)))
        }

        /// The first event that is parked of a command.
        pub(super) async fn parked(
            connection: &mut $connection,
            part: &Part,
            command_offset: u64,
        ) -> sqlx::Result<Option<ParkedCause>> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let (projection, aggregate) = (&**projection, &**aggregate);
            let parked = sqlx::query_as::<_, (String, String)>(concat!(
                "SELECT key, cause FROM ",
                $tables,
                "parked WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 \
                 AND command_offset = $5 ORDER BY event_offset LIMIT 1"
            ));
            let parked = parked.bind(projection).bind(i64::from(*version)).bind(aggregate).bind(i64::from(*partition));
            let parked = parked.bind(command_offset.cast_signed()).fetch_optional(connection).await?;
            Ok(parked.map(|(key, cause)| ParkedCause::new(text::read(key), text::read(cause))))
        }
    };
}

pub(crate) use records;
