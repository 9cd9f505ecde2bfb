//! Files and directories that are missing, replaced, of another format, or no store at all.

use super::*;

/// Everything in a store, directories too.
fn everything(directory: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = files(directory).into_keys().collect();
    let directories: Vec<_> = all.iter().flat_map(|path| path.ancestors().skip(1).map(Path::to_owned)).collect();
    all.extend(directories.into_iter().filter(|path| !path.as_os_str().is_empty()));
    all.push("running".into());
    all.sort();
    all.dedup();
    all
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.expect("it can be removed");
}

/// A list of tables: fjall keeps old ones, and removes them at some point.
fn is_list(path: &Path) -> bool {
    let number = path.file_name().and_then(|name| name.to_str()?.strip_prefix('v')?.parse::<u64>().ok());
    number.is_some()
}

/// Whatever is removed, the store is either refused and not changed, or still complete.
async fn without_each(flushed: bool) -> Vec<PathBuf> {
    let place = tempfile::tempdir().unwrap();
    let (whole, copied) = (place.path().join("whole"), place.path().join("copy"));
    make(&whole).await;
    if flushed {
        flush(&whole);
    }
    let mut harmless = Vec::new();
    for path in everything(&whole) {
        copy(&whole, &copied);
        remove(&copied.join(&path));
        let before = files(&copied);
        match start(&copied).await {
            Ok(app) => {
                is_complete(&app).await;
                app.shutdown().await.unwrap();
                harmless.push(path);
            }
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("missing"), "without {}: {error}", path.display());
                let is_named = path.ancestors().any(|path| {
                    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("?");
                    error.contains(name)
                });
                assert!(is_named, "without {}: {error}", path.display());
                let after = files(&copied);
                let changed = before.iter().filter(|(path, bytes)| after.get(*path) != Some(*bytes) && !is_list(path));
                let changed: Vec<_> = changed.map(|(path, _)| path).collect();
                assert!(changed.is_empty(), "without {}, {changed:?} are changed", path.display());
            }
        }
        fs::remove_dir_all(&copied).unwrap();
    }
    harmless
}

#[tokio::test]
async fn a_store_without_one_of_its_files_is_refused_by_name() {
    let harmless = without_each(false).await;
    // What a process did last, and the folder of tables, of which there are none yet.
    let may_be_missing = |path: &PathBuf| *path == Path::new("running") || path.ends_with("tables") || is_list(path);
    assert!(harmless.iter().all(may_be_missing), "{harmless:?}");
    assert!(harmless.contains(&"running".into()));
}

#[tokio::test]
async fn a_store_without_one_of_its_tables_is_refused_by_name() {
    let harmless = without_each(true).await;
    assert!(harmless.iter().all(|path| *path == Path::new("running") || is_list(path)), "{harmless:?}");
}

#[tokio::test]
async fn a_file_that_was_replaced_by_that_of_another_store_or_an_older_one_is_noticed() {
    let place = tempfile::tempdir().unwrap();
    let [store, older, other, copied] = ["store", "older", "other", "copy"].map(|name| place.path().join(name));
    make(&store).await;
    copy(&store, &older);
    let app = start(&store).await.unwrap();
    let lamps: LampClient = app.client();
    lamps.light("lamp-1").await.unwrap();
    app.shutdown().await.unwrap();
    make(&other).await;
    for (from, name) in [
        (&older, "0.jnl"),
        (&other, "0.jnl"),
        (&other, "store.json"),
        (&other, "keyspaces/2"),
        (&other, "keyspaces/0"),
        (&store, "keyspaces/3"),
    ] {
        copy(&store, &copied);
        let target = copied.join(if from == &store { "keyspaces/2" } else { name });
        remove(&target);
        let source = from.join(name);
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
        // They may differ in nothing but the number of the last batch.
        let error = match start(&copied).await {
            Ok(app) if name == "keyspaces/0" => {
                // The names of the keyspaces are the same in both.
                app.shutdown().await.unwrap();
                fs::remove_dir_all(&copied).unwrap();
                continue;
            }
            Ok(_) => panic!("{name} of {} is taken for that of the store", from.display()),
            Err(error) => error.to_string(),
        };
        assert!(["damaged", "another store", "this store", "older"].iter().any(|word| error.contains(word)), "{error}");
        fs::remove_dir_all(&copied).unwrap();
    }
}

#[tokio::test]
async fn a_store_whose_parts_do_not_fit_is_refused_with_what_is_missing() {
    let place = tempfile::tempdir().unwrap();
    let (whole, copied) = (place.path().join("whole"), place.path().join("copy"));
    make(&whole).await;
    for (keyspace, words) in [
        ("lamp.events", "events were written"),
        ("lamp.states", "according to its state"),
        ("lamp.histories", "missing from its history"),
        ("lamp.outcome_entries", "outcome of the last command"),
        ("meta", "missing"),
    ] {
        copy(&whole, &copied);
        with(&copied, |database| {
            database.keyspace(keyspace, KeyspaceCreateOptions::default).unwrap().clear().unwrap();
        });
        let error = refused(&copied).await;
        assert!(error.contains(words), "without what is in {keyspace}: {error}");
        fs::remove_dir_all(&copied).unwrap();
    }
}

#[tokio::test]
async fn another_format_is_named() {
    let place = tempfile::tempdir().unwrap();
    for (name, content, words) in [
        ("version", "FJL\x04", "format 4"),
        ("version", "FJL\x02", "format 2"),
        ("version", "what?", "damaged"),
        ("store.json", r#"{"format": 9, "more": true}"#, "layout 9"),
        ("store.json", "{", "damaged"),
    ] {
        let directory = place.path().join(content.escape_default().to_string().replace(['/', '\\', '"', ' '], "-"));
        make(&directory).await;
        fs::write(directory.join(name), content).unwrap();
        let error = refused(&directory).await;
        assert!(error.contains(words) && error.contains("simple-sourcing") | error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_lock_that_was_deleted_is_named_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path()).await;
    fs::remove_file(directory.path().join("lock")).unwrap();
    let error = refused(directory.path()).await;
    assert!(error.contains("lock") && error.contains("create an empty file"), "{error}");
    fs::write(directory.path().join("lock"), []).unwrap();
    is_complete(&start(directory.path()).await.unwrap()).await;
}

#[tokio::test]
async fn a_lock_that_is_replaced_under_a_running_app_lets_no_second_in() {
    let directory = tempfile::tempdir().unwrap();
    let _app = start(directory.path()).await.unwrap();
    fs::remove_file(directory.path().join("lock")).unwrap();
    fs::write(directory.path().join("lock"), []).unwrap();
    assert!(refused(directory.path()).await.contains("in use"));
}

#[tokio::test]
async fn what_is_left_of_a_store_whose_making_was_interrupted_is_no_obstacle() {
    let place = tempfile::tempdir().unwrap();
    let store = place.path().join("whole");
    drop(Database::builder(&store).open().unwrap());
    let all = ["lock", "0.jnl", "version", "keyspaces"];
    for left in 0..1 << all.len() {
        let directory = place.path().join(left.to_string());
        copy(&store, &directory);
        for (at, name) in all.iter().enumerate() {
            if left >> at & 1 == 0 {
                remove(&directory.join(name));
            }
        }
        make(&directory).await;
        is_complete(&start(&directory).await.unwrap()).await;
    }
    // A file that was never synced may be empty.
    let directory = place.path().join("empty");
    copy(&store, &directory);
    fs::write(directory.join("version"), []).unwrap();
    fs::write(directory.join("0.jnl"), []).unwrap();
    make(&directory).await;
}
