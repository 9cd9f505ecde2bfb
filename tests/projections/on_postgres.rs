//! What can happen to PostgreSQL alone.

mod differing;
mod dropping;
mod ended;
mod locks;
mod refusals;
mod switching;
mod versions;

use libtest_mimic::Trial;

use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("postgres::a_process_that_is_stopped_in_its_transaction_loses_the_partition", locks::stopped),
        trial("postgres::whoever_waits_for_a_stopped_process_waits_for_a_limited_time", locks::limited),
        trial("postgres::deadlocks_are_tried_again", locks::deadlocks),
        trial("postgres::connections_are_terminated_under_load", ended::terminated),
        trial("postgres::the_server_crashes_under_load", ended::crashed),
        trial("postgres::an_address_that_is_wrong_is_refused_with_what_to_do", refusals::addresses),
        trial("postgres::missing_rights_are_refused_with_what_to_do", refusals::rights),
        trial("postgres::a_schema_of_the_same_name_is_refused", refusals::taken),
        trial("postgres::an_error_that_a_method_swallows_is_an_error", refusals::swallowed),
        trial("postgres::versions_run_side_by_side", versions::side_by_side),
        trial("postgres::readers_switch_in_one_step", switching::in_one_step),
        trial("postgres::a_version_that_is_behind_does_not_become_current", switching::behind),
        trial("postgres::a_version_that_trails_under_load_becomes_current", switching::trailing),
        trial("postgres::a_version_that_has_parked_events_does_not_become_current", switching::parked),
        trial("postgres::a_switch_compares_with_what_is_being_written", switching::in_the_middle),
        trial("postgres::nobody_writes_in_the_old_version_during_a_switch", switching::held),
        trial("postgres::a_switch_gives_way_to_whoever_reads", switching::read_meanwhile),
        trial("postgres::a_switch_keeps_what_was_granted", switching::grants),
        trial("postgres::a_switch_drops_nothing_that_something_depends_on", switching::dependents),
        trial("postgres::a_wait_is_for_the_version_that_is_current", switching::waits),
        trial("postgres::a_version_is_dropped_with_all_that_belongs_to_it", dropping::all_of_it),
        trial("postgres::a_version_that_never_was_current_may_be_started_again", dropping::attempt),
        trial("postgres::whoever_runs_a_dropped_version_stops", dropping::stops),
        trial("postgres::a_diff_says_which_rows_differ", differing::rows),
    ]
}
