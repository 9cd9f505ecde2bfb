use sqlx::PgConnection;

use super::apart::Apart;

/// A version of a projection that is there.
pub(super) struct Found {
    pub(super) version: u32,
    pub(super) is_current: bool,
}

/// The versions of a projection.
pub(super) async fn versions(connection: &mut PgConnection, projection: &str) -> sqlx::Result<Vec<Found>> {
    let found = sqlx::query_as::<_, (i64, bool)>(
        "SELECT version, is_current FROM simple_sourcing.projections WHERE name = $1 ORDER BY version",
    );
    Ok(found.bind(projection).fetch_all(connection).await?.into_iter().map(Found::from).collect())
}

/// The same, held until the transaction ends: of those who switch, drop or steer at once, one comes after the other, and nobody
/// begins in a partition that has no position yet.
pub(super) async fn hold_versions(connection: &mut PgConnection, projection: &str) -> sqlx::Result<Vec<Found>> {
    let found = sqlx::query_as::<_, (i64, bool)>(
        "SELECT version, is_current FROM simple_sourcing.projections WHERE name = $1 ORDER BY version FOR NO KEY UPDATE",
    );
    Ok(found.bind(projection).fetch_all(connection).await?.into_iter().map(Found::from).collect())
}

impl From<(i64, bool)> for Found {
    fn from((version, is_current): (i64, bool)) -> Self {
        Found { version: u32::try_from(version).unwrap_or_default(), is_current }
    }
}

/// Holds the positions of a version until the transaction ends: whoever writes has committed, and waits from then on.
pub(super) async fn hold(connection: &mut PgConnection, projection: &str, version: u32) -> sqlx::Result<()> {
    let held = sqlx::query(
        "SELECT FROM simple_sourcing.positions WHERE projection = $1 AND version = $2 ORDER BY aggregate, partition \
         FOR NO KEY UPDATE",
    );
    held.bind(projection).bind(i64::from(version)).execute(connection).await.map(drop)
}

/// Where the new version is behind the old one. Aggregate types that the new one does not follow any more are left out.
pub(super) async fn behind(
    connection: &mut PgConnection,
    projection: &str,
    old: u32,
    new: u32,
) -> sqlx::Result<Vec<Apart>> {
    let behind = sqlx::query_as(
        "SELECT old.aggregate, old.partition, old.next, coalesce(new.next, 0) \
         FROM simple_sourcing.positions old \
         JOIN simple_sourcing.projections versions ON versions.name = $1 AND versions.version = $3 \
         LEFT JOIN simple_sourcing.positions new ON new.projection = $1 AND new.version = $3 \
         AND new.aggregate = old.aggregate AND new.partition = old.partition \
         WHERE old.projection = $1 AND old.version = $2 AND coalesce(new.next, 0) < old.next \
         AND (versions.aggregates = '' OR old.aggregate = ANY (string_to_array(versions.aggregates, E'\\n'))) \
         ORDER BY 1, 2",
    );
    let behind = behind.bind(projection).bind(i64::from(old)).bind(i64::from(new)).fetch_all(connection).await?;
    Ok(behind.into_iter().map(<Apart as From<(String, i64, i64, i64)>>::from).collect())
}

/// Where the two versions are not at the same offset, wherever one of them is.
pub(super) async fn apart(
    connection: &mut PgConnection,
    projection: &str,
    old: u32,
    new: u32,
) -> sqlx::Result<Vec<Apart>> {
    let apart = sqlx::query_as(
        "SELECT aggregate, partition, coalesce(max(next) FILTER (WHERE version = $2), 0), \
         coalesce(max(next) FILTER (WHERE version = $3), 0) \
         FROM simple_sourcing.positions WHERE projection = $1 AND version IN ($2, $3) GROUP BY aggregate, partition \
         HAVING coalesce(max(next) FILTER (WHERE version = $2), 0) <> coalesce(max(next) FILTER (WHERE version = $3), 0) \
         ORDER BY 1, 2",
    );
    let apart = apart.bind(projection).bind(i64::from(old)).bind(i64::from(new)).fetch_all(connection).await?;
    Ok(apart.into_iter().map(<Apart as From<(String, i64, i64, i64)>>::from).collect())
}

/// How many events the new version has parked that have rows in the old one.
pub(super) async fn parked(connection: &mut PgConnection, projection: &str, old: u32, new: u32) -> sqlx::Result<u64> {
    let parked = sqlx::query_as::<_, (i64,)>(
        "SELECT count(*) FROM simple_sourcing.parked parked \
         JOIN simple_sourcing.positions old ON old.projection = $1 AND old.version = $2 \
         AND old.aggregate = parked.aggregate AND old.partition = parked.partition AND old.next > parked.event_offset \
         WHERE parked.projection = $1 AND parked.version = $3 AND NOT EXISTS ( \
         SELECT FROM simple_sourcing.parked theirs WHERE theirs.projection = $1 AND theirs.version = $2 \
         AND theirs.aggregate = parked.aggregate AND theirs.partition = parked.partition \
         AND theirs.event_offset = parked.event_offset \
         UNION ALL SELECT FROM simple_sourcing.skipped theirs WHERE theirs.projection = $1 AND theirs.version = $2 \
         AND theirs.aggregate = parked.aggregate AND theirs.partition = parked.partition \
         AND theirs.event_offset = parked.event_offset)",
    );
    let parked = parked.bind(projection).bind(i64::from(old)).bind(i64::from(new)).fetch_one(connection).await?;
    Ok(parked.0.cast_unsigned())
}

/// Keeps which version is current.
pub(super) async fn set_current(connection: &mut PgConnection, projection: &str, version: u32) -> sqlx::Result<()> {
    let no_more =
        "UPDATE simple_sourcing.projections SET is_current = FALSE WHERE name = $1 AND version <> $2 AND is_current";
    let now = "UPDATE simple_sourcing.projections SET is_current = TRUE WHERE name = $1 AND version = $2";
    for statement in [no_more, now] {
        sqlx::query(statement).bind(projection).bind(i64::from(version)).execute(&mut *connection).await?;
    }
    Ok(())
}
