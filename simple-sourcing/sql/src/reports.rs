//! What processes report of the partitions that they project. Both databases have the same rows.

/// Writes, for a database, the functions that read and write reports: sqlx's type of it, what the names of the tables begin with,
/// the current time, how many seconds ago `reported_at` was, and what keeps a row that is read from being deleted.
macro_rules! reports {
    ($database:ty, $tables:literal, $now:literal, $ago:literal, $keep:literal) => {
        use std::time::Duration;

        use simple_sourcing::{
            Timestamp,
            follow::FailedEvent,
            projection::{Report, Reports},
        };

        use sqlx::{Database, Row};

        use crate::text;

        /// Keeps the last report of a partition, of a version that is there. When its last event happened is kept if the process
        /// does not know it.
        pub(super) async fn write(
            connection: &mut <$database as Database>::Connection,
            projection: &str,
            version: u32,
            report: &Report,
        ) -> sqlx::Result<()> {
            let statement = sqlx::query(concat!(
                "INSERT INTO ",
                $tables,
                "status AS found (projection, version, aggregate, partition, process, state, retrying_since_ms, log_end, \
                 last_event_ms, events_per_second, last_error, failed_offset, failed_event, reported_at) \
                 SELECT name, version, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, ",
                $now,
                " FROM ",
                $tables,
                "projections WHERE name = $1 AND version = $2 ",
                $keep,
                " ON CONFLICT (projection, version, aggregate, partition) DO UPDATE SET process = excluded.process, \
                 state = excluded.state, retrying_since_ms = excluded.retrying_since_ms, log_end = excluded.log_end, \
                 last_event_ms = coalesce(excluded.last_event_ms, found.last_event_ms), \
                 events_per_second = excluded.events_per_second, last_error = excluded.last_error, \
                 failed_offset = excluded.failed_offset, failed_event = excluded.failed_event, \
                 reported_at = excluded.reported_at"
            ));
            let millis = |time: Option<Timestamp>| time.map(|time| time.as_millis().cast_signed());
            let stored = |text: &Option<String>| text.as_deref().map(|text| text::stored(text).into_owned());
            let event = report.failed_event.as_ref();
            let statement = statement.bind(projection).bind(i64::from(version));
            let statement = statement.bind(&*report.aggregate).bind(i64::from(report.partition));
            let statement = statement.bind(text::stored(&report.process)).bind(&*report.state);
            let statement = statement.bind(millis(report.retrying_since)).bind(report.log_end.map(u64::cast_signed));
            let statement = statement.bind(millis(report.last_event_at)).bind(report.events_per_second);
            let statement = statement.bind(stored(&report.last_error)).bind(event.map(|event| event.offset.cast_signed()));
            let statement = statement.bind(event.map(|event| text::stored(&event.description).into_owned()));
            statement.execute(connection).await.map(drop)
        }

        /// What was reported, and how many events are parked.
        pub(super) async fn read(
            connection: &mut <$database as Database>::Connection,
            projection: &str,
            version: u32,
        ) -> sqlx::Result<Reports> {
            let rows = sqlx::query(concat!(
                "SELECT aggregate, partition, process, state, retrying_since_ms, log_end, last_event_ms, events_per_second, \
                 last_error, failed_offset, failed_event, ",
                $ago,
                " AS ago FROM ",
                $tables,
                "status WHERE projection = $1 AND version = $2"
            ));
            let rows = rows.bind(projection).bind(i64::from(version)).fetch_all(&mut *connection).await?;
            let parked = sqlx::query_as::<_, (String, i64, i64)>(concat!(
                "SELECT aggregate, partition, count(*) FROM ",
                $tables,
                "parked WHERE projection = $1 AND version = $2 GROUP BY aggregate, partition"
            ));
            let parked = parked.bind(projection).bind(i64::from(version)).fetch_all(connection).await?;
            let count = |(aggregate, partition, count): (String, i64, i64)| {
                (aggregate, u32::try_from(partition).unwrap_or_default(), count.cast_unsigned())
            };
            let reports = rows.iter().map(report).collect::<sqlx::Result<_>>()?;
            Ok(Reports::new(reports, parked.into_iter().map(count).collect()))
        }

        fn report(row: &<$database as Database>::Row) -> sqlx::Result<(Report, Duration)> {
            let number = |column| row.try_get::<Option<i64>, _>(column);
            let text = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(column)?.map(text::read));
            let time = |column| Ok::<_, sqlx::Error>(number(column)?.map(|millis| Timestamp::from_millis(millis.cast_unsigned())));
            let partition = u32::try_from(row.try_get::<i64, _>("partition")?).unwrap_or_default();
            let process = text::read(row.try_get("process")?);
            let mut report = Report::new(row.try_get::<String, _>("aggregate")?, partition, process, row.try_get("state")?);
            report.retrying_since = time("retrying_since_ms")?;
            report.log_end = number("log_end")?.map(i64::cast_unsigned);
            report.last_event_at = time("last_event_ms")?;
            report.events_per_second = row.try_get("events_per_second")?;
            report.last_error = text("last_error")?;
            let event = number("failed_offset")?.zip(text("failed_event")?);
            report.failed_event = event.map(|(at, what)| FailedEvent::new(at.cast_unsigned(), what));
            // The clock of the database may have been set back.
            Ok((report, Duration::try_from_secs_f64(row.try_get("ago")?).unwrap_or_default()))
        }
    };
}

pub(crate) use reports;
