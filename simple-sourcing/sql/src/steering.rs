//! What somebody decides about a projection, as rows. Both databases have the same ones.

/// Writes, for a database, the functions that decide something: its connection, what the names of the tables begin with, and the
/// current time. The module has a function `empty` of its own.
macro_rules! steering {
    ($connection:ty, $tables:literal, $now:literal) => {
        use simple_sourcing::projection::{EventAt, Part, Steered, Steering};

        use super::records;
        use crate::{error::is_no_table, text};

        /// Decides something, in a transaction that is committed if it is done.
        pub(super) async fn steer(
            connection: &mut $connection,
            projection: &str,
            version: u32,
            steering: &Steering,
        ) -> Result<Steered, Error> {
            let failed = |cause| Error::store(format!("steer version {version} of projection `{projection}`"))(cause);
            match raise(connection, projection, version).await {
                Ok(true) => {}
                Ok(false) => return Ok(Steered::NotThere),
                // Nothing was ever prepared here.
                Err(cause) if is_no_table(&cause) => return Ok(Steered::NotThere),
                Err(cause) => return Err(failed(cause)),
            }
            let is_something = match steering {
                Steering::Pause => set_paused(connection, projection, version, true).await.map(|()| true),
                Steering::Resume => set_paused(connection, projection, version, false).await.map(|()| true),
                Steering::Retry { key } => retry(connection, projection, version, key.as_deref()).await,
                Steering::Skip { event, reason } => skip(connection, projection, version, event, reason).await,
                Steering::Reset => {
                    empty(connection, projection, version).await?;
                    set_back(connection, projection, version).await.map(|()| true)
                }
                other => return Err(Error::UnknownSteering(format!("{other:?}"))),
            };
            Ok(if is_something.map_err(failed)? { Steered::Done } else { Steered::Nothing })
        }

        /// Raises the epoch of a version, and of all its positions: who holds one of them is waited for, and who comes later
        /// finds that he has lost it. Returns whether there is such a version.
        async fn raise(connection: &mut $connection, projection: &str, version: u32) -> sqlx::Result<bool> {
            // Locks the version, so of those who decide at once one comes after the other.
            let raised = sqlx::query(concat!(
                "UPDATE ",
                $tables,
                "projections SET epoch = epoch + 1 WHERE name = $1 AND version = $2"
            ));
            let raised = raised.bind(projection).bind(i64::from(version)).execute(&mut *connection).await?;
            let positions = sqlx::query(concat!(
                "UPDATE ",
                $tables,
                "positions SET epoch = (SELECT epoch FROM ",
                $tables,
                "projections WHERE name = $1 AND version = $2) WHERE projection = $1 AND version = $2"
            ));
            positions.bind(projection).bind(i64::from(version)).execute(connection).await?;
            Ok(raised.rows_affected() > 0)
        }

        async fn set_paused(
            connection: &mut $connection,
            projection: &str,
            version: u32,
            is_paused: bool,
        ) -> sqlx::Result<()> {
            let statement = sqlx::query(concat!(
                "UPDATE ",
                $tables,
                "projections SET is_paused = $3 WHERE name = $1 AND version = $2"
            ));
            let statement = statement.bind(projection).bind(i64::from(version)).bind(is_paused);
            statement.execute(connection).await.map(drop)
        }

        /// Marks the parked events of a key, or all, to be tried again; returns whether there are any.
        async fn retry(
            connection: &mut $connection,
            projection: &str,
            version: u32,
            key: Option<&str>,
        ) -> sqlx::Result<bool> {
            let statement = match key {
                Some(_) => concat!(
                    "UPDATE ",
                    $tables,
                    "parked SET is_retried = TRUE WHERE projection = $1 AND version = $2 AND key = $3"
                ),
                None => concat!("UPDATE ", $tables, "parked SET is_retried = TRUE WHERE projection = $1 AND version = $2"),
            };
            let statement = sqlx::query(statement).bind(projection).bind(i64::from(version));
            let statement = key.into_iter().fold(statement, |statement, key| statement.bind(text::stored(key)));
            Ok(statement.execute(connection).await?.rows_affected() > 0)
        }

        /// Keeps that an event is skipped, and why, if it is parked or a partition stands still at it; returns whether it is.
        async fn skip(
            connection: &mut $connection,
            projection: &str,
            version: u32,
            event: &EventAt,
            reason: &str,
        ) -> sqlx::Result<bool> {
            let EventAt { aggregate, partition, offset, .. } = event;
            let part = Part::new(projection.to_owned().into(), version, aggregate.clone(), *partition);
            let is_parked = records::remove_parked(&mut *connection, &part, *offset).await?;
            // Once it is decided, it may be decided again.
            let failed = sqlx::query(concat!(
                "SELECT 1 FROM ",
                $tables,
                "status WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 AND failed_offset = $5 \
                 UNION ALL SELECT 1 FROM ",
                $tables,
                "skipped WHERE projection = $1 AND version = $2 AND aggregate = $3 AND partition = $4 AND event_offset = $5"
            ));
            let failed = failed.bind(projection).bind(i64::from(version)).bind(&**aggregate).bind(i64::from(*partition));
            let failed = failed.bind(offset.cast_signed()).fetch_optional(&mut *connection).await?;
            if !is_parked && failed.is_none() {
                return Ok(false);
            }
            let statement = sqlx::query(concat!(
                "INSERT INTO ",
                $tables,
                "skipped (projection, version, aggregate, partition, event_offset, reason, skipped_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, ",
                $now,
                ") ON CONFLICT (projection, version, aggregate, partition, event_offset) DO NOTHING"
            ));
            let statement = statement.bind(projection).bind(i64::from(version)).bind(&**aggregate);
            let statement = statement.bind(i64::from(*partition)).bind(offset.cast_signed()).bind(text::stored(reason));
            statement.execute(connection).await?;
            Ok(true)
        }

        /// Sets the positions back to the beginning, with nothing parked.
        async fn set_back(connection: &mut $connection, projection: &str, version: u32) -> sqlx::Result<()> {
            let positions = sqlx::query(concat!(
                "UPDATE ",
                $tables,
                "positions SET next = 0, command_offset = 0, sequence = 0, command_id = NULL, updated_at = ",
                $now,
                " WHERE projection = $1 AND version = $2"
            ));
            positions.bind(projection).bind(i64::from(version)).execute(&mut *connection).await?;
            let parked = concat!("DELETE FROM ", $tables, "parked WHERE projection = $1 AND version = $2");
            sqlx::query(parked).bind(projection).bind(i64::from(version)).execute(connection).await.map(drop)
        }
    };
}

pub(crate) use steering;
