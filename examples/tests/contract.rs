//! What the clients, the services and the log of the bank depend on, as committed text: a change shows up in review.
//!
//! `cargo insta review` accepts an intended change. So does `INSTA_UPDATE=always`, except for inline snapshots.

#[rustfmt::skip]
#[path = "../bank/domain.rs"]
#[expect(unreachable_pub, reason = "the domain is written as its users would, not as a library")]
mod domain;

use domain::{Account, AccountError};
use simple_sourcing::{describe, expansion};

/// The wire format of the account.
#[test]
fn the_wire() {
    insta::assert_snapshot!(describe::<Account>(), @"
    aggregate: account
    key: String
    event: AccountEvent
        create  Opened { owner: String }
        change  Deposited { amount: u64 }
        change  Withdrawn { amount: u64 }
        delete  Closed

    command: AccountCommand
    error: AccountError
    client: AccountClient
        create  open: Open { owner: String }
        update  deposit: Deposit { amount: u64 }
        update  withdraw: Withdraw { amount: u64 }
        update  close: Close

    state: Account { owner: String, balance: u64 }
    ");
}

/// The macros don't see the declaration of the error: a value of each variant shows how it is written.
#[test]
fn the_errors() {
    let errors =
        [AccountError::InsufficientFunds { balance: 1, amount: 2 }, AccountError::TooLarge, AccountError::NotEmpty];
    insta::assert_snapshot!(serde_json::to_string(&errors).unwrap(), @r#"[{"InsufficientFunds":{"balance":1,"amount":2}},"TooLarge","NotEmpty"]"#);
}

/// Its topics on Kafka, and their retention.
#[cfg(feature = "kafka")]
#[test]
fn the_topics() {
    use simple_sourcing::Settings;
    use simple_sourcing_kafka::Kafka;

    insta::assert_snapshot!(Kafka::new("localhost:9092").describe_topics::<Account>(&Settings::default()), @"
    topics: 6 partitions
        account-command_request: cleanup.policy=delete retention.ms=604800000 message.timestamp.type=LogAppendTime
        account-event: cleanup.policy=delete retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
        account-aggregate: cleanup.policy=compact retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
        account-command_response: cleanup.policy=delete retention.ms=90000000 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
        account-answer: cleanup.policy=delete message.timestamp.type=LogAppendTime retention.ms=3600000
        account-dead_letter: cleanup.policy=delete max.message.bytes=100000000 retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
        account-owner: 1 partition, cleanup.policy=delete retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
    ");
}

/// What the macros generate: the traits to implement, the client, and the code that connects them.
#[test]
fn the_generated_code() {
    insta::assert_snapshot!("account_event", expansion!("bank/domain.rs", AccountEvent));
    insta::assert_snapshot!("account_command", expansion!("bank/domain.rs", AccountCommand));
    insta::assert_snapshot!("account", expansion!("bank/domain.rs", Account));
}
