//! Tables without code, on both databases.

mod columns;
mod fold;
mod refused;
mod steering;

pub(crate) use columns::Sample;
use libtest_mimic::Trial;
use simple_sourcing::projection::{Column, Table};

use crate::{database::Database, domain::Ledger, log::Log, trial};

/// What has to hold on each log.
pub(crate) fn on_log<D: Database>(log: &str, new_log: fn() -> Log) -> Vec<Trial> {
    let name = |what: &str| format!("{}::{log}::table::{what}", D::NAME);
    vec![
        trial(name("rows_equal_the_fold_of_the_log"), move || fold::equal::<D>(new_log())),
        trial(name("batches_may_be_cut_everywhere"), move || fold::cut_everywhere::<D>(new_log())),
        trial(name("one_that_is_dropped_anywhere_goes_on"), move || fold::dropped::<D>(new_log())),
        trial(name("of_two_followers_each_event_is_written_by_one"), move || fold::rivals::<D>(new_log())),
        trial(name("one_that_is_reset_is_folded_again"), move || steering::reset::<D>(new_log())),
    ]
}

/// What has to hold whatever the log.
pub(crate) fn trials<D: Database>() -> Vec<Trial> {
    let name = |what: &str| format!("{}::table::{what}", D::NAME);
    vec![
        trial(name("columns_are_as_the_state_is"), columns::right::<D>),
        trial(name("a_value_that_the_database_can_not_hold_parks_its_key"), columns::unfit::<D>),
        trial(name("rows_of_many_columns_are_all_written"), columns::many::<D>),
        trial(name("behind_a_skipped_event_its_row_is_wrong_and_stays"), steering::skip::<D>),
        trial(name("a_key_that_the_database_can_not_hold_is_refused"), columns::unfit_key::<D>),
        trial(name("names_may_be_words_of_sql"), columns::reserved_words::<D>),
        trial(name("other_columns_under_the_same_version_are_refused"), refused::other_columns::<D>),
        trial(name("a_state_of_another_type_asks_for_another_version"), refused::other_state::<D>),
        trial(name("a_row_at_another_sequence_is_refused"), refused::other_sequence::<D>),
        trial(name("one_that_is_wrong_leaves_nothing_behind"), refused::wrong::<D>),
    ]
}

/// A table of ledgers.
fn balances(version: u32) -> Table<Ledger> {
    let table = Table::new("balances").version(version);
    table.column("balance", "/balance", Column::Integer).index("balance").index("updated_at")
}
