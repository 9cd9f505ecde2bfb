//! What can happen to PostgreSQL alone.

mod ended;
mod locks;
mod refusals;
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
    ]
}
