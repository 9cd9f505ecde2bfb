//! Runs the bank as its users do.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

#[test]
fn a_second_tour_goes_on_from_what_the_first_has_left() {
    let directory = tempfile::tempdir().unwrap();
    let first = succeed(&mut bank(directory.path()));
    for expected in [
        "Nobody has been here before.",
        "accepted: sequence 2",
        "rejected: a balance of 50 does not cover 1000000",
        "conflict: the account is at 3, not at 2",
        "The same receipt.",
        "owner Alice, balance 36, at sequence 5",
    ] {
        assert!(first.contains(expected), "`{expected}` is missing in\n{first}");
    }
    let second = succeed(bank(directory.path()).arg("tour"));
    for expected in ["An earlier tour has left 46, made of 6 events.", "owner Alice, balance 82, at sequence 10"] {
        assert!(second.contains(expected), "`{expected}` is missing in\n{second}");
    }
}

#[test]
fn the_shell_answers_line_by_line_and_goes_on_after_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let input = "open dora Dora Long\nwithdraw dora 1\ndeposit dora 5\ndeposit dora much\nclose\nfoo\nshow dora\n\
                 history dora\nshow nobody\nquit\nshow dora\n";
    let mut shell = bank(directory.path()).arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success());
    let expected = "ok: sequence 1\n\
                    error: rejected: a balance of 0 does not cover 1\n\
                    ok: sequence 2\n\
                    error: `much` is no amount: write a whole number that is not negative, e.g. 50\n\
                    error: write: close KEY\n\
                    error: `foo` is not a command; `help` lists them\n\
                    dora: owner Dora Long, balance 5, sequence 2\n   \
                       1  {\"Opened\":{\"owner\":\"Dora Long\"}}\n   \
                       2  {\"Deposited\":{\"amount\":5}}\n\
                    error: there is no account `nobody`\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn a_line_that_is_no_text_is_refused_and_the_shell_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let input = b"open dora Dora\ndeposit dora \xff\xfe\n\xc3\nshow dora";
    let mut shell = bank(directory.path()).arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(input).unwrap();
    let output = shell.wait_with_output().unwrap();
    let expected = "ok: sequence 1\n\
                    error: this line is not UTF-8 text, and nothing was done\n\
                    error: this line is not UTF-8 text, and nothing was done\n\
                    dora: owner Dora, balance 0, sequence 1\n";
    assert_eq!((String::from_utf8_lossy(&output.stdout).as_ref(), output.status.code()), (expected, Some(0)));
}

#[test]
fn the_status_says_what_the_app_is_doing() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = bank(directory.path()).arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(b"open dora Dora\ndeposit dora 5\nstatus\n").unwrap();
    let output = shell.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let expected = "ok: sequence 1\n\
                    ok: sequence 2\n\
                    app bank\n  \
                      aggregate account: 2 events, 1 of 1 partitions served here\n  \
                      worker bank-worker: 2 commands in 2 batches\n";
    assert_eq!(shown, expected);
    let later = succeed(bank(directory.path()).args(["status", "--json"]));
    let later: Value = serde_json::from_str(&later).unwrap();
    assert_eq!((&later["aggregates"][0]["events"], &later["workers"][0]["commands"]), (&2.into(), &0.into()));
}

#[test]
fn the_largest_balances_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    succeed(&mut bank(directory.path()));
    let top = succeed(bank(directory.path()).args(["top", "2"]));
    let top: Vec<_> = top.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(top, [["carol", "100"], ["alice", "46"]]);
}

#[cfg(feature = "sql")]
#[test]
fn the_read_model_is_a_table_that_others_can_read() {
    let directory = tempfile::tempdir().unwrap();
    succeed(&mut bank(directory.path()));
    let file = "sqlite:other.sqlite";
    let load = ["load", "--accounts", "3", "--commands", "200", "--in-flight", "20", "--seed", "3"];
    let report = succeed(bank(directory.path()).args(["--relaxed", "--read-model", file]).args(load));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(report["row_latency_us"]["p50"].as_u64() > Some(0), "{report}");

    let top = |read_model: &[&str]| succeed(bank(directory.path()).args(["top", "20"]).args(read_model));
    let shown = top(&[]);
    assert_eq!(top(&["--read-model", file]), shown, "both read models say the same");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = runtime.block_on(async {
        use sqlx::Connection as _;
        let file = directory.path().join("bank-data/read-model.sqlite");
        let mut connection = sqlx::SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        let rows = sqlx::query_as::<_, (String, String, i64)>("SELECT * FROM balances ORDER BY balance DESC, account");
        rows.fetch_all(&mut connection).await.unwrap()
    });
    assert_eq!(rows.len(), 6, "three of the tour and three of the load");
    let listed: Vec<_> = rows.iter().map(|(account, _, balance)| format!("{account:<20} {balance:>20}\n")).collect();
    assert_eq!(shown, listed.concat());
}

#[cfg(feature = "sql")]
#[test]
fn a_projector_says_when_it_has_caught_up_and_stops_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut projector =
        bank(directory.path()).arg("project").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(projector.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert!(Command::new("kill").arg(projector.id().to_string()).status().unwrap().success());
    assert_eq!(projector.wait().unwrap().code(), Some(0));
    let nowhere = bank(directory.path()).args(["--backend", "memory", "project"]).output().unwrap();
    let error = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(error.contains("say where the read model is kept"), "{error}");
    for wrong in ["mysql://a@b/c", "sqlite:", "postgres:bank"] {
        let refused = bank(directory.path()).args(["top", "--read-model", wrong]).output().unwrap();
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(error.contains("write `sqlite:FILE` or `postgres:URL`"), "{error}");
    }
}

/// The input that each action needs to print something.
const ACTIONS: [&[&str]; 4] = [&["tour"], &["shell"], &["status"], &["load", "--accounts", "2", "--commands", "10"]];

#[test]
fn whoever_reads_may_leave() {
    for action in ACTIONS {
        let directory = tempfile::tempdir().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = talk(bank(directory.path()).args(action).stdout(writer).stderr(Stdio::piped()));
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{action:?}"
        );
    }
    // A service that nobody knows about has not done its work.
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let output = talk(bank(directory.path()).arg("serve").stdout(writer).stderr(Stdio::piped()));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("standard output can't be written") && !error.contains("panicked"), "{error}");
    assert_eq!(output.status.code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_of_the_output() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for action in ACTIONS.into_iter().chain([&["serve"][..]]) {
        let directory = tempfile::tempdir().unwrap();
        let output = talk(bank(directory.path()).args(action).stdout(full()).stderr(Stdio::piped()));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("standard output can't be written: No space left"), "{action:?}: {error}");
        assert!(!error.contains("panicked"), "{action:?}: {error}");
        assert_eq!(output.status.code(), Some(1), "{action:?}");
        // Neither the error nor the log can be written.
        let mut bank = bank(directory.path());
        let unsaid = talk(bank.env("RUST_LOG", "trace").args(action).stdout(full()).stderr(full()));
        assert_eq!(unsaid.status.code(), Some(1), "{action:?}");
    }
}

#[cfg(unix)]
#[test]
fn without_standard_input_the_shell_has_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.current_dir(directory.path()).args(["-c", "exec \"$0\" shell <&-"]).arg(executable());
    assert_eq!(succeed(&mut shell), "");
}

#[test]
fn numbers_without_sense_are_refused_at_once() {
    for backend in ["memory", "embedded:store"] {
        let directory = tempfile::tempdir().unwrap();
        let mut bank = bank(directory.path());
        let output = bank.args(["--backend", backend, "--partitions", "4294967295", "shell"]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("4294967295 partitions are too many: at most 10000 are created"), "{backend}: {error}");
        assert_eq!(output.status.code(), Some(1), "{backend}");
    }
    for (option, number) in [("--partitions", "0"), ("--partitions", "4294967296"), ("--workers", "0")] {
        assert_eq!(bank(Path::new(".")).args([option, number, "shell"]).output().unwrap().status.code(), Some(2));
    }
    for (option, number) in [("--in-flight", "4294967295"), ("--accounts", "0"), ("--withdraw-percent", "101")] {
        let output = bank(Path::new(".")).args(["load", option, number]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}: {output:?}");
    }
}

#[test]
fn a_load_reports_what_its_history_says() {
    let directory = tempfile::tempdir().unwrap();
    let history = directory.path().join("history");
    let load =
        ["--accounts", "20", "--commands", "500", "--in-flight", "50", "--seed", "7", "--withdraw-percent", "60"];
    // The second time the accounts exist.
    for _ in 0..2 {
        let mut bank = bank(directory.path());
        let report = succeed(bank.arg("--relaxed").arg("load").args(load).arg("--history").arg(&history));
        let report: Value = serde_json::from_str(&report).unwrap();
        let lines = std::fs::read_to_string(&history).unwrap();
        let moves: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &Value| line["command"].get("Open").is_none())
            .collect();
        let accepted = moves.iter().filter(|line| line["outcome"]["Ok"]["sequence"].is_u64()).count();
        let rejected = moves.iter().filter(|line| line["outcome"]["Err"]["Rejected"].is_object()).count();
        assert_eq!((lines.lines().count(), moves.len()), (520, 500));
        assert_eq!(report["commands"], 500);
        assert_eq!(report["accepted"], accepted);
        assert_eq!(report["rejected"], rejected);
        assert!(rejected > 0 && accepted + rejected == 500);
        assert_eq!(report["unknown"], 0);
        assert!(report["latency_us"]["p50"].as_u64() <= report["latency_us"]["max"].as_u64());
    }
}

#[cfg(unix)]
#[test]
fn a_service_says_when_it_is_ready_and_stops_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut service = bank(directory.path()).arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(service.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // Two apps on one directory: the second gets an error.
    let second = bank(directory.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use"), "{second:?}");
    assert!(!second.status.success());
    let told = Command::new("kill").arg(service.id().to_string()).status().unwrap();
    assert!(told.success());
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

#[cfg(not(feature = "kafka"))]
#[test]
fn without_kafka_the_program_says_how_to_get_it() {
    let mut bank = bank(Path::new("."));
    let output = bank.args(["--backend", "kafka:localhost:9092", "shell"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("--features kafka --example bank -- --backend kafka:localhost:9092 shell"), "{error}");
    assert!(!output.status.success());
}

/// Runs it to its end, with input for a shell.
fn talk(bank: &mut Command) -> Output {
    let mut bank = bank.stdin(Stdio::piped()).spawn().unwrap();
    // It may have ended already.
    let _ = bank.stdin.take().unwrap().write_all(b"show nobody\nshow nobody\n");
    bank.wait_with_output().unwrap()
}

/// The program, in a directory of its own.
fn bank(directory: &Path) -> Command {
    let mut bank = Command::new(executable());
    bank.current_dir(directory).env_remove("RUST_LOG");
    bank
}

/// Examples are built next to the tests, and Cargo doesn't say where.
fn executable() -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let bank = profile.join("examples").join("bank").with_extension(env::consts::EXE_EXTENSION);
    assert!(
        bank.exists(),
        "`{}` is not there: run `cargo build -p simple-sourcing-examples --examples`",
        bank.display()
    );
    bank
}

fn succeed(bank: &mut Command) -> String {
    let Output { status, stdout, stderr } = bank.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{status}: {stderr}");
    String::from_utf8(stdout).unwrap()
}
