use std::time::Duration;

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};
use simple_sourcing::BackendError;

/// What a failed call to Kafka means to the caller: whether it may work later, and what to look at.
pub(crate) fn describe(what: impl Into<String>, error: KafkaError) -> BackendError {
    let what = what.into();
    let hint = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => "; grant this principal access to the topic",
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => "; grant this principal access to the group",
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            "; grant this principal access to the transactional id"
        }
        Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
            "; check the SASL settings"
        }
        _ => "",
    };
    let what = format!("{what}{hint}");
    if is_lasting(&error) { BackendError::failed(what) } else { BackendError::unavailable(what) }.because(error)
}

/// Whether trying again is of no use.
fn is_lasting(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicOrPartition
                | Code::MessageSizeTooLarge
                | Code::InvalidMessageSize
                | Code::InvalidConfig
                | Code::InvalidTopic
        )
    ) || matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_))
}

/// Whether a record that was not delivered is certainly not in the log.
pub(crate) fn is_certainly_not_written(error: &KafkaError) -> bool {
    is_lasting(error)
}

/// A client could not be made: its settings are wrong.
pub(crate) fn client(role: &str, error: KafkaError) -> BackendError {
    BackendError::failed(format!("the Kafka {role} can't be made; check the properties")).because(error)
}

/// Nobody answers at the address.
pub(crate) fn unreachable(bootstrap_servers: &str, within: Duration, error: KafkaError) -> BackendError {
    BackendError::unavailable(format!(
        "no Kafka broker answered at `{bootstrap_servers}` within {within:?}; check the address, that the broker runs, and \
         the security settings"
    ))
    .because(error)
}
