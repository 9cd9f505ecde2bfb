//! Single records that can't be read: only their own aggregates and commands are affected.

use super::*;
use crate::model::Cursor;

/// Overwrites every record of a keyspace whose key ends with this, as another version would write it.
fn damage(directory: &Path, keyspace: &str, ends_with: &[u8]) {
    with(directory, |database| {
        let keyspace = database.keyspace(keyspace, KeyspaceCreateOptions::default).unwrap();
        let keys: Vec<_> = keyspace.iter().map(|entry| entry.key().unwrap()).collect();
        let keys: Vec<_> = keys.into_iter().filter(|key| key.ends_with(ends_with)).collect();
        assert!(!keys.is_empty());
        keys.into_iter().for_each(|key| keyspace.insert(key, [99, 1, 2]).unwrap());
    });
}

#[tokio::test]
async fn a_state_that_is_damaged_is_recreated_from_its_events() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path()).await;
    damage(directory.path(), "lamp.states", b"lamp-4");
    let app = start(directory.path()).await.unwrap();
    is_complete(&app).await;
    let lamps: LampClient = app.client();
    let receipt = lamps.light("lamp-4").await.unwrap();
    assert_eq!(receipt.sequence, Sequence::new(6));
    app.shutdown().await.unwrap();
    let app = start(directory.path()).await.unwrap();
    assert_eq!(app.state::<Lamp>("lamp-4").await.unwrap().unwrap().state.lit, 5);
}

#[tokio::test]
async fn an_outcome_that_is_damaged_ends_nothing_but_its_own_command() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path()).await;
    let app = start(directory.path()).await.unwrap();
    let lamps: LampClient = app.client();
    let id = CommandId::new();
    lamps.light("lamp-1").command_id(id).await.unwrap();
    app.shutdown().await.unwrap();
    damage(directory.path(), "lamp.outcome_entries", id.as_uuid().as_bytes());
    let app = start(directory.path()).await.unwrap();
    let lamps: LampClient = app.client();

    // It is not known whether it ran, so it must not run.
    let error = lamps.light("lamp-1").command_id(id).await.unwrap_err();
    assert!(matches!(&error, CommandError::Expired(why) if why.contains(&id.to_string())), "{error}");
    let error = lamps.outcome(id).await.unwrap_err();
    assert!(error.to_string().contains(&id.to_string()), "{error}");

    assert_eq!(lamps.light("lamp-1").await.unwrap().sequence, Sequence::new(4));
    assert_eq!(app.state::<Lamp>("lamp-1").await.unwrap().unwrap().state.lit, 3);
}

#[tokio::test]
async fn events_that_are_damaged_are_told_to_those_who_read_them() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path()).await;
    for keyspace in ["lamp.states", "lamp.events"] {
        damage(directory.path(), keyspace, b"");
    }
    let app = start(directory.path()).await.unwrap();
    let error = app.follow::<LampEvent>(Cursor::beginning()).next().await.unwrap().unwrap_err().to_string();
    assert!(error.contains("event 0 of lamp, partition 0"), "{error}");
    let error = app.history::<LampEvent>("lamp-0", Sequence::ZERO).next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("of lamp, partition 0"), "{error}");
    let lamps: LampClient = app.client();
    let error = lamps.light("lamp-0").await.unwrap_err();
    assert!(matches!(error, CommandError::Quarantined), "{error}");
    lamps.mount("another").await.expect("others go on");
}

#[tokio::test]
async fn a_history_that_is_damaged_is_named() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path()).await;
    damage(directory.path(), "lamp.histories", b"");
    let app = start(directory.path()).await.unwrap();
    let error = app.history::<LampEvent>("lamp-4", Sequence::ZERO).next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("the history of lamp `lamp-4`"), "{error}");
    let lamps: LampClient = app.client();
    lamps.light("lamp-4").await.expect("its state is there");
}
