//! The directory of a running app, and what may take its place.

use super::*;

/// Sends until the app stops. Returns how it ended.
async fn stops(app: &AppHandle) -> String {
    let lamps: LampClient = app.client();
    let error = lamps.mount("one-more").timeout(std::time::Duration::from_secs(2)).await.unwrap_err();
    assert!(
        matches!(error, CommandError::Timeout { .. }),
        "nothing is acknowledged, and its outcome is unknown: {error}"
    );
    let error = app.stopped().await.unwrap_err().to_string();
    let after = lamps.mount("another").await.unwrap_err();
    assert!(after.to_string().contains(&error), "{after}");
    error
}

#[tokio::test]
async fn an_app_whose_directory_is_deleted_moved_or_replaced_stops() {
    let place = tempfile::tempdir().unwrap();
    let [store, elsewhere, other] = ["store", "elsewhere", "other"].map(|name| place.path().join(name));
    for change in ["deleted", "moved", "replaced", "without its journal"] {
        make(&store).await;
        let app = start(&store).await.unwrap();
        let lamps: LampClient = app.client();
        lamps.mount(change).await.unwrap();
        match change {
            "deleted" => fs::remove_dir_all(&store).unwrap(),
            "moved" => fs::rename(&store, &elsewhere).unwrap(),
            "replaced" => {
                fs::rename(&store, &other).unwrap();
                make(&store).await;
            }
            _ => fs::remove_file(store.join("0.jnl")).unwrap(),
        }
        let error = stops(&app).await;
        assert!(error.contains("deleted, moved or replaced"), "{change}: {error}");
        assert!(error.contains(&store.display().to_string()), "{change}: {error}");
        let _ = app.shutdown().await;
        for directory in [&store, &elsewhere, &other] {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

#[tokio::test]
async fn a_file_where_the_directory_should_be_is_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    fs::write(&path, "a file").unwrap();
    let error = refused(&path).await;
    assert!(error.contains("there is a file where a directory should be"), "{error}");
    let error = refused(&path.join("beneath")).await;
    assert!(error.contains("there is a file where a directory should be"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_without_the_right_to_write_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    make(directory.path()).await;
    let path = directory.path().join("0.jnl");
    let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    set(0o000);
    if fs::read(&path).is_err() {
        let error = refused(directory.path()).await;
        assert!(error.contains("0.jnl") && error.contains("permission to read and write"), "{error}");
    }
    set(0o600);
    is_complete(&start(directory.path()).await.unwrap()).await;
}

#[tokio::test]
async fn a_store_is_found_by_a_process_that_has_gone_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("a/../store");
    fs::create_dir(directory.path().join("a")).unwrap();
    make(&link).await;
    is_complete(&start(&directory.path().join("store")).await.unwrap()).await;
}
