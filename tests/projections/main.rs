//! Projections into SQLite and PostgreSQL: `sqlite::…`, `postgres::…`, each on the logs `memory`, `embedded` and `kafka`.
//!
//! PostgreSQL's part needs a server (see [`simple_sourcing_tests::postgres`]), Kafka's a broker. Without one they are reported as
//! ignored, with the reason; with `SIMPLE_SOURCING_POSTGRES=required` and `SIMPLE_SOURCING_KAFKA=required` they fail. Parts of
//! names filter as usual:
//! `cargo test -p simple-sourcing-tests --test projections -- postgres::memory`.

mod another_log;
mod database;
mod domain;
mod fencing;
mod killed;
mod loads;
mod log;
mod on_postgres;
mod on_sqlite;
mod parking;
mod rebuilding;
mod rebuilt;
mod refused;
mod rows;
mod status;
mod steering;
mod table;
mod waiting;

use std::{env, process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Trial};
use simple_sourcing_tests::{needing::Needed, on_broker};
use tokio::runtime;

use database::{Database, OnPostgres, OnSqlite};
use log::Log;

/// How many trials run at once, unless `--test-threads` says otherwise: most of one is waiting.
const TRIALS_AT_ONCE: usize = 4;

/// How long anything that is promised may take, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if let [_, word, process @ ..] = &env::args().collect::<Vec<_>>()[..]
        && word == killed::PROCESS
    {
        return killed::run(process);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(TRIALS_AT_ONCE);
    let needed = Needed { what: "PostgreSQL server", variable: "SIMPLE_SOURCING_POSTGRES" };
    let on_postgres = |trials| needed.trials(&arguments, trials, || database::server().as_ref().map(|_| ()));
    let mut trials = both::<OnSqlite>();
    trials.extend(on_sqlite::trials());
    trials.push(trial("sqlite::embedded::a_service_that_projects_is_killed", killed::alone));
    trials.extend(on_broker::trials(&arguments, on_log::<OnSqlite>("kafka", Log::kafka)));
    trials.extend(on_postgres(both::<OnPostgres>().into_iter().chain(on_postgres::trials()).collect()));
    let mut on_both = on_log::<OnPostgres>("kafka", Log::kafka);
    on_both.push(trial("postgres::kafka::projectors_are_killed", killed::projectors));
    on_both.push(trial("postgres::kafka::a_rebuild_under_load_is_killed_and_goes_on", rebuilding::killed));
    trials.extend(on_broker::trials(&arguments, on_postgres(on_both)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What has to hold on both databases.
fn both<D: Database>() -> Vec<Trial> {
    let mut trials = on_log::<D>("memory", Log::memory);
    trials.extend(on_log::<D>("embedded", Log::embedded));
    trials.extend(table::trials::<D>());
    let name = |what: &str| format!("{}::{what}", D::NAME);
    trials.extend([
        trial(name("whoever_is_at_another_position_begins_nothing"), fencing::stale::<D>),
        trial(name("what_is_not_committed_moves_no_position"), fencing::not_committed::<D>),
        trial(name("whoever_was_steered_begins_nothing"), fencing::steered::<D>),
        trial(name("what_stands_still_tries_again_when_it_is_resumed"), steering::fixed::<D>),
        trial(name("a_parked_event_is_skipped"), steering::skip_parked::<D>),
        trial(name("what_can_not_be_steered_says_why"), steering::refused::<D>),
        trial(name("a_reset_empties_the_tables_of_one_version"), steering::reset_tables::<D>),
        trial(name("processes_that_start_at_once_prepare_once"), fencing::at_once::<D>),
        trial(name("a_position_that_was_reset_by_hand_is_followed"), fencing::reset::<D>),
        trial(name("other_tables_under_the_same_version_are_refused"), refused::other_tables::<D>),
        trial(name("an_unknown_layout_is_refused"), refused::unknown_layout::<D>),
        trial(name("tables_that_are_wrong_leave_nothing_behind"), refused::wrong_tables::<D>),
        trial(name("a_key_with_the_character_0_is_parked_and_found"), parking::odd_keys::<D>),
        trial(name("a_position_in_the_middle_of_a_command_does_not_hold_it"), waiting::in_the_middle::<D>),
        trial(name("what_can_never_come_is_not_waited_for"), waiting::never::<D>),
        trial(name("a_status_that_can_not_be_reported_stops_nothing"), status::not_reported::<D>),
        trial(name("whoever_waits_is_told"), waiting::notified::<D>),
        trial(name("whoever_is_not_told_looks_again"), waiting::not_notified::<D>),
    ]);
    trials
}

/// What has to hold on each log.
fn on_log<D: Database>(log: &str, new_log: fn() -> Log) -> Vec<Trial> {
    let name = |what: &str| format!("{}::{log}::{what}", D::NAME);
    let mut trials = vec![
        trial(name("rows_equal_the_fold_of_the_log"), move || loads::equal::<D>(new_log())),
        trial(name("a_wait_returns_when_all_rows_of_the_command_are_there"), move || loads::waits::<D>(new_log())),
        trial(name("a_projection_that_is_dropped_anywhere_goes_on"), move || loads::dropped::<D>(new_log())),
        trial(name("a_key_is_deleted_and_recreated_in_one_batch"), move || loads::recreated::<D>(new_log())),
        trial(name("a_poison_event_and_the_later_ones_of_its_key_are_parked"), move || parking::parks::<D>(new_log())),
        trial(name("of_two_followers_each_event_is_written_by_one"), move || fencing::rivals::<D>(new_log())),
        trial(name("whoever_waits_in_another_process_gets_all_rows"), move || waiting::all_rows::<D>(new_log())),
        trial(name("a_reset_while_it_is_projected_leaves_the_fold"), move || steering::reset::<D>(new_log())),
        trial(name("after_a_fix_what_is_parked_is_tried_again"), move || steering::retry::<D>(new_log())),
        trial(name("what_is_paused_waits_until_it_is_resumed"), move || steering::pause::<D>(new_log())),
        trial(name("an_event_that_is_skipped_is_skipped_for_ever"), move || steering::skip::<D>(new_log())),
        trial(name("a_recreated_log_is_refused"), move || another_log::recreated::<D>(new_log)),
        trial(name("another_process_reads_the_status"), move || status::read::<D>(new_log())),
    ];
    trials.extend(table::on_log::<D>(log, new_log));
    trials
}

fn trial<F: Future<Output = ()>>(name: impl Into<String>, run: impl FnOnce() -> F + Send + 'static) -> Trial {
    let name = name.into();
    Trial::test(name.clone(), move || {
        // A panic's message begins with the name of the thread.
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()?;
        runtime.block_on(run());
        // What hangs must not keep the other trials from their end.
        runtime.shutdown_timeout(Duration::from_secs(5));
        Ok(())
    })
}
