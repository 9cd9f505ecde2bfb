//! The rows that the library keeps itself: positions, and parked events. Both databases have the same ones.

/// Writes, for a database, the functions that read and write these rows: its connection, what the names of the tables begin
/// with, and the current time.
macro_rules! records {
    ($connection:ty, $tables:literal, $now:literal) => {
        use simple_sourcing::{
            Position, Sequence,
            engine::{Logged, brief},
            follow::{Batch, Checkpoint, Resume},
            projection::{ParkedCause, Part, Stored, StoredPosition},
        };

        use crate::text;

        /// The position, and then the parked keys: a key that somebody parks in between is one too many. The next transaction
        /// finds the position moved, so nothing comes of it.
        pub(super) async fn resume(connection: &mut $connection, part: &Part) -> sqlx::Result<Resume> {
            let Part { projection, version, aggregate, partition, .. } = part;
            let (projection, aggregate) = (&**projection, &**aggregate);
            let position = sqlx::query_as::<_, (i64, i64, i64)>(concat!(
                "SELECT next, command_offset, sequence FROM ",
                $tables,
                "positions WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4"
            ));
            let position =
                position.bind(projection).bind(i64::from(*version)).bind(aggregate).bind(i64::from(*partition));
            let position = position.fetch_optional(&mut *connection).await?;
            let keys = sqlx::query_as::<_, (String,)>(concat!(
                "SELECT DISTINCT key FROM ",
                $tables,
                "parked WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4"
            ));
            let keys = keys.bind(projection).bind(i64::from(*version)).bind(aggregate).bind(i64::from(*partition));
            let keys = keys.fetch_all(connection).await?;
            let checkpoint = position.map(checkpoint).unwrap_or_default();
            Ok(Resume::parked(checkpoint, keys.into_iter().map(|(key,)| text::read(key)).collect()))
        }

        fn checkpoint((next, command_offset, sequence): (i64, i64, i64)) -> Checkpoint {
            let mut checkpoint = Checkpoint::default();
            checkpoint.next = next.cast_unsigned();
            checkpoint.command_offset = command_offset.cast_unsigned();
            checkpoint.sequence = Sequence::new(sequence.cast_unsigned());
            checkpoint
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
            let (projection, aggregate) = (&**projection, &**aggregate);
            let statement = if before == Checkpoint::default() {
                concat!(
                    "INSERT INTO ",
                    $tables,
                    "positions AS found (projection, version, aggregate, partition, next, command_offset, sequence, \
                     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, ",
                    $now,
                    ") ON CONFLICT (projection, version, aggregate, partition) DO UPDATE SET next = excluded.next, \
                     command_offset = excluded.command_offset, sequence = excluded.sequence, \
                     updated_at = excluded.updated_at \
                     WHERE found.next = $8 AND found.command_offset = $9 AND found.sequence = $10"
                )
            } else {
                concat!(
                    "UPDATE ",
                    $tables,
                    "positions SET next = $5, command_offset = $6, sequence = $7, updated_at = ",
                    $now,
                    " WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 \
                     AND next = $8 AND command_offset = $9 AND sequence = $10"
                )
            };
            let statement = sqlx::query(statement);
            let statement =
                statement.bind(projection).bind(i64::from(*version)).bind(aggregate).bind(i64::from(*partition));
            let columns = |at: Checkpoint| [at.next, at.command_offset, at.sequence.get()].map(u64::cast_signed);
            let values = [columns(after), columns(before)];
            let statement = values.into_iter().flatten().fold(statement, |statement, value| statement.bind(value));
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
                    ")"
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
            }
            Ok(())
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
            let found = sqlx::query_as::<_, (String,)>(concat!(
                "SELECT aggregates FROM ",
                $tables,
                "projections WHERE name = $1 AND version = $2"
            ));
            let found = found.bind(projection).bind(i64::from(version)).fetch_optional(&mut *connection).await?;
            let Some((aggregates,)) = found else { return Ok(None) };
            let positions = sqlx::query_as::<_, (String, i64, i64, i64, i64)>(concat!(
                "SELECT aggregate, partition, next, command_offset, sequence FROM ",
                $tables,
                "positions WHERE projection = $1 AND version = $2 ORDER BY aggregate, partition"
            ));
            let positions = positions.bind(projection).bind(i64::from(version)).fetch_all(connection).await?;
            let position = |(aggregate, partition, next, command_offset, sequence): (String, i64, i64, i64, i64)| {
                let partition = u32::try_from(partition).unwrap_or_default();
                StoredPosition::new(aggregate, partition, checkpoint((next, command_offset, sequence)))
            };
            let aggregates = aggregates.lines().map(ToOwned::to_owned).collect();
            Ok(Some(Stored::new(aggregates, positions.into_iter().map(position).collect())))
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
