//! The rules of the bank: tests of the domain alone, without a server or a runtime.

#[rustfmt::skip]
#[path = "../bank/domain.rs"]
#[expect(unreachable_pub, reason = "the domain is written as its users would, not as a library")]
mod domain;

use domain::{Account, AccountCommand, AccountError, AccountEvent};
use simple_sourcing::testing::{Given, given, given_nothing, laws, proptest::prelude::*};

laws!(Account, any_command());

fn any_command() -> impl Strategy<Value = AccountCommand> {
    let amount = || prop_oneof![4 => 0..100_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    prop_oneof![
        any::<String>().prop_map(|owner| AccountCommand::Open { owner }),
        amount().prop_map(|amount| AccountCommand::Deposit { amount }),
        amount().prop_map(|amount| AccountCommand::Withdraw { amount }),
        Just(AccountCommand::Close),
    ]
}

fn alice_with(balance: u64) -> Given<Account> {
    given([AccountEvent::Opened { owner: "Alice".into() }, AccountEvent::Deposited { amount: balance }])
}

#[test]
fn an_account_is_opened_once() {
    let open = || AccountCommand::Open { owner: "Alice".into() };
    given_nothing::<Account>()
        .when(open())
        .then([AccountEvent::Opened { owner: "Alice".into() }])
        .then_state(|account| assert_eq!(account.balance, 0))
        .when(open())
        .then_already_exists();
}

#[test]
fn nothing_can_be_done_without_an_account() {
    given_nothing::<Account>()
        .when(AccountCommand::Deposit { amount: 1 })
        .then_not_found()
        .when(AccountCommand::Withdraw { amount: 1 })
        .then_not_found()
        .when(AccountCommand::Close)
        .then_not_found();
}

#[test]
fn a_balance_covers_what_is_withdrawn() {
    alice_with(10)
        .when(AccountCommand::Withdraw { amount: 20 })
        .then_rejected(AccountError::InsufficientFunds { balance: 10, amount: 20 })
        .when(AccountCommand::Withdraw { amount: 10 })
        .then([AccountEvent::Withdrawn { amount: 10 }])
        .then_state(|account| assert_eq!(account.balance, 0));
}

#[test]
fn a_balance_ends_where_its_number_does() {
    alice_with(u64::MAX)
        .when(AccountCommand::Deposit { amount: 2 })
        .then_rejected(AccountError::TooLarge)
        .when(AccountCommand::Deposit { amount: 0 })
        .then([AccountEvent::Deposited { amount: 0 }])
        .when(AccountCommand::Withdraw { amount: u64::MAX })
        .then([AccountEvent::Withdrawn { amount: u64::MAX }])
        .when(AccountCommand::Deposit { amount: u64::MAX })
        .then([AccountEvent::Deposited { amount: u64::MAX }])
        .then_state(|account| assert_eq!(account.balance, u64::MAX));
}

/// What is true of this domain is true of the one in the README.
#[test]
fn the_readme_has_the_same_rules() {
    let (readme, domain) = (include_str!("../../README.md"), include_str!("../bank/domain.rs"));
    let (_, rules) = domain.split_once("impl AccountHandler for Account {\n").unwrap();
    let (rules, _) = rules.split_once("\n}\n").unwrap();
    assert!(readme.contains(rules), "the README does not have the handlers of the bank:\n{rules}");
}

/// The test in the README of the examples is one of these.
#[test]
fn the_readme_of_the_examples_shows_a_test() {
    let (readme, tests) = (include_str!("../README.md"), include_str!("domain.rs"));
    let (_, code) = readme.split_once("```rust\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    assert!(tests.contains(code), "there is no such test:\n{code}");
}

#[test]
fn only_an_empty_account_is_closed() {
    alice_with(10)
        .when(AccountCommand::Close)
        .then_rejected(AccountError::NotEmpty)
        .when(AccountCommand::Withdraw { amount: 10 })
        .then([AccountEvent::Withdrawn { amount: 10 }])
        .when(AccountCommand::Close)
        .then([AccountEvent::Closed])
        .then_nothing();
}
