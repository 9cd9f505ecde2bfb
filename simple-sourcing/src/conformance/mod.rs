//! The suite that every backend must pass, for backends of your own (feature `conformance`).
//!
//! ```text
//!  your Subject ─▶ cases ─▶ Vec<Case> ─▶ a test harness runs each: a fresh store, apps on it, what they promise
//! ```
//!
//! There is one file for each promise, and a function for each case; [`cases`] lists them all. `domain.rs` has what they send:
//! an account with commands that no sane service has, and an order with another shape and key. `laws.rs` has what holds for
//! any log and its receipts, whatever was sent.
//!
//! A backend joins with a few lines. This example runs one case; a harness such as `libtest-mimic` turns each into a test:
//!
//! ```
//! use simple_sourcing::{Memory, conformance::{Subject, cases}};
//!
//! struct InMemory(Memory);
//!
//! impl Subject for InMemory {
//!     type Backend = Memory;
//!     const INSTANCES: bool = true;
//!
//!     fn new(partitions: u32) -> Self {
//!         InMemory(Memory::new().partitions(partitions))
//!     }
//!
//!     fn backend(&self) -> Memory {
//!         self.0.clone()
//!     }
//! }
//!
//! let case = cases::<InMemory>().into_iter().find(|case| case.name() == "accepted::a_receipt_says_what_was_written");
//! let runtime = tokio::runtime::Runtime::new()?;
//! runtime.block_on(case.expect("there is this case").run());
//! # Ok::<(), std::io::Error>(())
//! ```
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod accepted;
mod agreement;
mod bad_input;
mod codecs;
mod concurrency;
mod deduplication;
mod domain;
mod fixture;
mod followers;
mod instances;
mod laws;
mod load;
mod mirror;
mod order;
mod other_version;
mod outcome;
mod reading;
mod restart;
mod several_types;
mod shutdown;
mod views;

use std::{fmt, time::Duration};

use crate::port::{Backend, BoxFuture};

/// What a backend provides to be tested: empty stores, and itself on one of them.
pub trait Subject: Send + Sync + Sized + 'static {
    /// The backend.
    type Backend: Backend;

    /// Whether several apps can run on one store at once: service instances that share the work, and clients. If not, the
    /// cases of `instances` are left out.
    const INSTANCES: bool;

    /// A new, empty store with this many partitions, separate from all others: a temporary directory, a prefix of topic names.
    /// Its content outlives the apps on it, and is removed when it is dropped.
    fn new(partitions: u32) -> Self;

    /// The backend on this store: called for the first app on it, for a restart, and for each further instance.
    fn backend(&self) -> Self::Backend;
}

/// One promise under test. It fails by panicking.
pub struct Case {
    name: &'static str,
    run: fn() -> BoxFuture<'static, ()>,
}

/// How long a case may take, on a slow machine that runs others at the same time.
const CASE_TIMEOUT: Duration = Duration::from_secs(180);

impl Case {
    /// The promise: `theme::behaviour`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the case, on the caller's multi-threaded tokio runtime with time enabled.
    ///
    /// # Panics
    /// When the backend breaks the promise, or does not keep it in time.
    pub async fn run(&self) {
        // In a task, so that a case still ends in time if it waits for something that has panicked.
        let case = tokio::spawn((self.run)());
        match tokio::time::timeout(CASE_TIMEOUT, case).await {
            Ok(Ok(())) => {}
            Ok(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            Err(_) => panic!("the case did not end within {CASE_TIMEOUT:?}"),
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

macro_rules! list {
    ($($theme:ident { $($case:ident),* $(,)? })*) => {
        vec![$($(Case {
            name: concat!(stringify!($theme), "::", stringify!($case)),
            run: || Box::pin($theme::$case::<S>()),
        }),*),*]
    };
}

/// All cases for a backend. Each is independent of the others, and they may run in parallel.
pub fn cases<S: Subject>() -> Vec<Case> {
    let instances = if S::INSTANCES { several_instances::<S>() } else { Vec::new() };
    [commands::<S>(), reads::<S>(), ends::<S>(), failures::<S>(), instances].into_iter().flatten().collect()
}

/// Commands and their outcomes.
fn commands<S: Subject>() -> Vec<Case> {
    list! {
        accepted {
            a_receipt_says_what_was_written,
            one_command_may_emit_many_events,
            a_deleted_aggregate_begins_again_and_goes_on_with_its_sequence,
            a_command_finds_an_aggregate_or_none_as_its_role_demands,
            a_rejection_travels_typed_and_changes_nothing,
            a_handler_is_given_the_context_of_its_command,
            a_command_with_nothing_to_do_gets_a_receipt_and_writes_no_event,
        }
        deduplication {
            a_command_sent_100_times_at_once_takes_effect_once,
            a_rejection_sent_100_times_at_once_is_the_same_each_time,
            the_first_answer_stays_when_the_aggregate_has_changed,
            an_id_is_for_one_command_only,
            an_id_older_than_the_window_is_refused,
            an_id_from_the_future_is_refused,
            an_id_forgotten_for_want_of_room_never_takes_effect_again,
            a_batch_full_of_repetitions_takes_effect_once_each,
            an_equal_command_is_the_same_command_whatever_the_order_of_its_map,
        }
        concurrency {
            of_100_clients_that_expect_the_same_sequence_one_wins,
            of_100_clients_that_create_one_wins,
            of_20_withdrawals_of_the_whole_balance_one_wins,
            a_strict_aggregate_demands_the_sequence,
            a_function_resolves_a_mismatch_from_both_sides,
        }
        order {
            commands_without_waiting_keep_their_order,
            order_is_that_of_the_first_polls,
            each_client_keeps_its_own_order,
            a_call_that_is_left_lying_holds_up_nobody_else,
        }
        several_types {
            two_types_in_one_app_do_not_mix,
            an_aggregate_that_is_not_part_of_the_app_is_named,
        }
        outcome {
            a_published_command_has_an_outcome_for_everybody,
            an_outcome_is_waited_for,
            an_unknown_id_has_no_outcome,
        }
    }
}

/// What readers see.
fn reads<S: Subject>() -> Vec<Case> {
    list! {
        reading {
            a_stream_follows_what_comes,
            a_stream_goes_on_from_its_cursor,
            a_history_begins_behind_a_sequence_and_ends,
            what_never_existed_has_no_state_and_no_history,
            an_event_that_does_not_decode_is_an_error_and_the_stream_goes_on,
        }
        views {
            a_view_reads_its_own_writes,
            a_view_that_starts_late_catches_up,
            a_view_waits_no_longer_than_it_is_told,
            a_projector_that_panics_stops_its_view,
            a_view_says_when_it_has_caught_up,
            a_view_refuses_a_receipt_of_another_type,
        }
        followers {
            each_event_is_applied_once_and_in_order,
            who_waits_for_a_command_finds_all_its_events,
            a_follower_goes_on_from_its_checkpoint,
            what_may_work_later_is_tried_again,
            a_partition_that_can_not_go_on_does_not_hold_back_the_others,
            it_stands_still_at_an_event_that_can_not_be_applied,
            a_parked_key_leaves_the_others_alone,
            a_command_of_another_type_is_not_waited_for,
            followers_of_one_name_share_the_partitions,
            a_view_holds_several_types,
        }
        codecs {
            a_log_is_read_whatever_each_payload_was_written_with,
            a_client_has_a_codec_of_its_own,
            a_codec_that_is_not_known_is_named,
        }
        agreement {
            receipts_events_states_and_views_agree_after_a_load,
        }
    }
}

/// What happens when an app ends, and after that.
fn ends<S: Subject>() -> Vec<Case> {
    list! {
        restart {
            everything_goes_on_after_a_restart,
            a_deleted_aggregate_keeps_its_sequence_over_a_restart,
            a_restart_in_the_middle_of_a_load_loses_and_doubles_nothing,
        }
        shutdown {
            what_was_sent_before_is_answered,
            no_caller_is_left_waiting,
            calls_after_it_find_the_app_closed,
            it_may_be_called_twice,
            streams_and_views_end_with_it,
            the_place_is_free_once_it_has_ended,
        }
    }
}

/// The effects of bad input and bad code, and on whom.
fn failures<S: Subject>() -> Vec<Case> {
    list! {
        bad_input {
            a_handler_that_panics_fails_its_command_only,
            an_applier_that_panics_fails_its_command_only,
            an_event_that_does_not_fit_the_state_fails_its_command_only,
            an_event_that_is_not_read_back_as_it_was_written_fails_its_command_only,
            too_many_events_fail_the_command,
            a_too_long_event_fails_the_command,
            a_too_long_error_fails_the_command,
            a_too_long_state_fails_its_command_only,
            a_too_long_command_is_refused_by_the_client,
            a_too_long_trace_is_refused_by_the_client,
            a_too_long_command_is_refused_by_the_service,
            a_payload_that_does_not_decode_is_refused,
            a_key_that_does_not_parse_is_refused,
            a_state_that_does_not_decode_is_made_again_from_its_events,
            a_state_and_an_event_that_do_not_decode_quarantine_their_aggregate_only,
        }
    }
}

/// Several apps on one store.
fn several_instances<S: Subject>() -> Vec<Case> {
    list! {
        instances {
            instances_and_clients_share_the_work,
            an_id_takes_effect_once_over_all_instances,
            one_expectation_wins_over_all_instances,
            an_instance_that_leaves_in_the_middle_of_a_load_loses_nothing,
            an_instance_that_joins_in_the_middle_of_a_load_doubles_nothing,
            a_client_reads_and_asks_without_serving,
            without_a_service_the_outcome_is_unknown_until_one_comes,
        }
        followers {
            followers_of_several_apps_apply_each_event_once,
        }
    }
}
