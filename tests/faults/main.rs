//! Faults under load, on a real broker, with separate service processes: each shows that it has happened, and the
//! history checker (see [`simple_sourcing_tests::checker`]) checks everything that is left.
//!
//! ```sh
//! cargo test -p simple-sourcing-tests --test faults                                                       # the quick ones
//! SIMPLE_SOURCING_FAULT_ROUNDS=10 cargo test -p simple-sourcing-tests --test faults -- --include-ignored  # all, ten times
//! cargo test -p simple-sourcing-tests --features security --test faults -- --include-ignored fault_17     # credentials and rights
//! ```
//!
//! The last needs OpenSSL with its headers (`libssl-dev`); without that feature its trials don't exist.
//!
//! Some run concurrently, because each has its own topics and processes. Those that harm the shared broker or network
//! run alone. Those that kill one broker of three start their own brokers. At the end a table shows what was done.

mod churn;
mod clocks;
mod cluster;
mod commit;
mod copies;
mod damaged;
mod ground;
mod handlers;
mod ids;
mod killed;
mod network;
mod offsets;
mod open;
mod outage;
mod owners;
mod paused;
mod poison;
mod race;
#[cfg(feature = "security")]
mod security;
mod standby;
mod store;
mod stream;
mod table;
mod terminated;
mod topics;
mod twins;

use std::{
    env,
    process::ExitCode,
    sync::{PoisonError, RwLock},
};

use libtest_mimic::{Arguments, Trial};
use simple_sourcing_tests::on_broker;
use tokio::runtime::Runtime;

use ground::ground;
use table::{Row, print};

/// How many faults run concurrently. They spend most of their time waiting: for sessions, leases and restarts.
const FAULTS_AT_ONCE: usize = 3;

/// Shared by all running faults; exclusive for one that runs alone.
static TURN: RwLock<()> = RwLock::new(());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(FAULTS_AT_ONCE);
    let mut trials = vec![
        fault(1, "killed_after_produce", || killed::at("after-produce")),
        fault(1, "killed_after_offsets", || killed::at("after-offsets")),
        alone(1, "killed_while_its_commit_is_on_its_way", killed::while_committing),
        fault(1, "killed_before_the_store_is_written", || killed::at("after-commit")),
        alone(1, "killed_while_another_stands_by", standby::takes_over).with_ignored_flag(true),
        alone(2, "the_reply_to_a_commit_is_lost", commit::reply_lost),
        alone(2, "the_reply_to_offsets_is_lost", commit::offsets_reply_lost),
        alone(3, "a_commit_arrives_in_the_next_transaction", commit::late),
        fault(4, "paused_for_longer_than_its_session", paused::in_its_turn),
        alone(4, "paused_with_its_commit_on_its_way", paused::while_committing),
        fault(5, "two_processes_of_one_name", twins::run),
        alone(6, "broker_killed", outage::killed),
        alone(6, "broker_stopped", outage::stopped),
        alone(6, "broker_stopped_under_named_processes", outage::stopped_under_names),
        alone(6, "broker_paused_for_30_s", outage::paused).with_ignored_flag(true),
        alone(6, "leader_of_events_killed", cluster::leader_of_events_killed).with_ignored_flag(true),
        alone(6, "transaction_coordinator_killed", cluster::transaction_coordinator_killed).with_ignored_flag(true),
        alone(6, "group_coordinator_killed", cluster::group_coordinator_killed).with_ignored_flag(true),
        alone(7, "network_cut_one_way_and_both", network::cut).with_ignored_flag(true),
        alone(7, "connections_half_open", network::half_open).with_ignored_flag(true),
        alone(7, "latency_with_resets", network::slow_with_resets).with_ignored_flag(true),
        alone(8, "processes_come_and_go_for_2_minutes", churn::run).with_ignored_flag(true),
        fault(9, "an_id_100_times_over_a_kill_and_a_rebalance", ids::many_times),
        fault(9, "an_id_after_the_window", ids::expired),
        fault(10, "64_clients_race_while_partitions_move", race::run),
        fault(11, "handlers_panic_and_return_too_much", handlers::panic_and_flood),
        fault(11, "a_handler_takes_30_s", handlers::slow).with_ignored_flag(true),
        fault(11, "a_handler_ends_its_process", handlers::ends_its_process),
        fault(12, "one_record_in_a_hundred_is_poison", poison::run),
        fault(13, "states_and_an_event_of_random_bytes", damaged::corrupt_bytes),
        fault(13, "a_state_of_an_earlier_command", damaged::of_an_earlier_command),
        fault(14, "states_and_an_event_of_another_version", damaged::of_another_version),
        fault(15, "store_of_a_killed_process", store::killed),
        fault(15, "store_with_flipped_bits", store::flipped),
        fault(15, "store_with_a_file_cut", store::cut),
        fault(15, "store_deleted_while_it_is_used", store::deleted),
        fault(15, "store_on_a_full_disk", store::full),
        fault(15, "store_of_topics_that_were_recreated", store::recreated),
        alone(16, "topics_deleted", topics::deleted).with_ignored_flag(true),
        alone(16, "topics_recreated", topics::recreated).with_ignored_flag(true),
        alone(16, "topics_recreated_while_down", topics::recreated_while_down).with_ignored_flag(true),
        alone(16, "partitions_raised", topics::partitions_raised).with_ignored_flag(true),
        alone(16, "partitions_of_all_raised_while_down", topics::all_raised_while_down),
        alone(16, "policy_changed", topics::policy_changed).with_ignored_flag(true),
        alone(16, "policy_changed_while_a_broker_is_down", cluster::policy_changed_meanwhile).with_ignored_flag(true),
        alone(18, "open_transaction_before_commands", open::before_commands).with_ignored_flag(true),
        alone(18, "open_transaction_before_events", open::before_events).with_ignored_flag(true),
        alone(18, "open_transaction_before_states", open::before_states).with_ignored_flag(true),
        fault(19, "clock_of_a_service_off_by_an_hour", clocks::of_a_service).with_ignored_flag(true),
        fault(19, "clock_of_a_client_off_by_an_hour", clocks::of_a_client).with_ignored_flag(true),
        alone(19, "clock_of_the_broker_off_by_an_hour", clocks::of_the_broker).with_ignored_flag(true),
        fault(20, "terminated_under_load", terminated::once),
        fault(20, "terminated_twice", terminated::twice),
        fault(21, "offsets_lost", offsets::lost),
        fault(21, "offsets_lost_with_the_responses", offsets::lost_with_the_responses),
        fault(22, "offsets_put_back", offsets::put_back),
        fault(23, "offsets_put_forward", offsets::put_forward),
        fault(24, "a_stranger_commits_offsets", offsets::stranger),
        fault(25, "another_app_serves_the_same_accounts", owners::another_name),
        fault(25, "two_apps_start_at_once", owners::two_at_once),
        fault(25, "an_app_is_renamed", owners::renamed),
        fault(25, "a_paused_owner_comes_back", owners::comes_back).with_ignored_flag(true),
        fault(25, "an_owner_from_before_there_were_claims", owners::of_before),
        fault(26, "what_is_copied_from_commands_is_too_long", copies::run),
        fault(26, "many_commands_with_long_headers", copies::many),
    ];
    trials.extend(of_security());
    let trials = on_broker::trials_on(&arguments, trials, || ground().map(|_| ()));
    let conclusion = libtest_mimic::run(&arguments, trials);
    print();
    conclusion.exit_code()
}

/// A fault as a trial, by its number in the table. It runs as many rounds as are asked for, each on topics of its own.
fn fault(number: u32, name: &'static str, round: impl AsyncFn() -> Row + Send + 'static) -> Trial {
    Trial::test(format!("fault_{number:02}::{name}"), move || {
        let _turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
        run(number, name, &round);
        Ok(())
    })
}

/// The same for one that harms what the others need.
fn alone(number: u32, name: &'static str, round: impl AsyncFn() -> Row + Send + 'static) -> Trial {
    Trial::test(format!("fault_{number:02}::{name}"), move || {
        let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
        run(number, name, &round);
        Ok(())
    })
}

fn run(number: u32, name: &'static str, round: &impl AsyncFn() -> Row) {
    table::record(number, name, || {
        let rounds = (0..rounds()).map(|_| runtime().block_on(round()));
        rounds.reduce(Row::and).unwrap_or_default()
    });
}

/// Those that need TLS.
#[cfg(feature = "security")]
fn of_security() -> Vec<Trial> {
    vec![
        alone(17, "least_rights", security::least_rights).with_ignored_flag(true),
        alone(17, "each_right_missing", security::each_right_missing).with_ignored_flag(true),
        alone(17, "right_taken", security::right_taken).with_ignored_flag(true),
        alone(17, "refused", security::refused).with_ignored_flag(true),
        alone(17, "password_changed", security::password_changed).with_ignored_flag(true),
    ]
}

#[cfg(not(feature = "security"))]
fn of_security() -> Vec<Trial> {
    Vec::new()
}

fn rounds() -> usize {
    let rounds = env::var("SIMPLE_SOURCING_FAULT_ROUNDS").ok();
    rounds.map_or(1, |rounds| rounds.parse().expect("SIMPLE_SOURCING_FAULT_ROUNDS is a number"))
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime can be had")
}
