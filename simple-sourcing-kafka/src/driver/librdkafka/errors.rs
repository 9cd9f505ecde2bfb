//! What the errors of librdkafka mean.

use std::{fmt, time::Duration};

use rdkafka::{error::KafkaError, types::RDKafkaConfRes, types::RDKafkaErrorCode as Code};
use simple_sourcing::BackendError;

use crate::{
    access::{Resource, Right},
    cause::{Cause, Caused},
    config::{Kafka, name_of},
};

/// An error of librdkafka, without what was tried.
#[derive(Debug, Clone)]
pub(crate) struct ClientError(pub(super) KafkaError);

impl ClientError {
    /// Whether trying again may help.
    pub(crate) fn is_retryable(&self) -> bool {
        !is_lasting(&self.0)
    }

    /// Whether the client library reads on by itself after it.
    pub(crate) fn is_passing(&self) -> bool {
        is_passing(&self.0)
    }

    /// Whether a right is missing.
    pub(crate) fn is_denied(&self) -> bool {
        code(&self.0).is_some_and(is_denial)
    }

    /// The error with what was tried. For that, these rights are needed.
    pub(crate) fn describe(self, kafka: &Kafka, what: impl Into<String>, needs: &[Right]) -> BackendError {
        describe_lacking(kafka, what, needs, self.0)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a failed call to Kafka means to the caller: whether it may work later, and what to look at.
pub(super) fn describe(what: impl Into<String>, error: KafkaError) -> BackendError {
    because(if is_lasting(&error) { BackendError::failed(what) } else { BackendError::unavailable(what) }, error)
}

/// The same for a call that needs these rights. Names those that are missing, or may be.
pub(super) fn describe_lacking(
    kafka: &Kafka,
    what: impl Into<String>,
    needs: &[Right],
    error: KafkaError,
) -> BackendError {
    let lacks: Vec<&Right> = needs.iter().filter(|right| code(&error) == Some(denial(&right.resource))).collect();
    if lacks.is_empty() {
        let what = what.into();
        return match code(&error) {
            Some(Code::Authentication | Code::SaslAuthenticationFailed) => {
                describe(format!("{what}: {} is refused, check the SASL settings", kafka.principal()), error)
            }
            _ => describe(what, error),
        };
    }
    because(BackendError::failed(format!("{}: {}", what.into(), kafka.lacking(&lacks))), error)
}

/// Adds an error of librdkafka as the source of one of ours, with its cause if the reaction depends on it.
pub(super) fn because(what: BackendError, error: KafkaError) -> BackendError {
    match code(&error) {
        Some(code) if is_denial(code) => what.because(Caused::new(Cause::Denied, error)),
        Some(code) if is_rejection(code) => what.because(Caused::new(Cause::RecordRejected, error)),
        _ => what.because(error),
    }
}

/// A client could not be created, because its properties are wrong. The message names the property, but never its
/// value, which may be a password, even under a misspelled name. So it does not contain the error of the client
/// library.
pub(super) fn client_error(kafka: &Kafka, role: &str, error: &KafkaError) -> BackendError {
    let reason = match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
            format!("librdkafka has no property `{}`; check the spelling", name_of(name))
        }
        KafkaError::ClientConfig(_, _, name, _) => {
            format!("property `{}` has a value that librdkafka does not accept", name_of(name))
        }
        KafkaError::ClientCreation(reason) => without_values(kafka, reason),
        other => without_values(kafka, &other.to_string()),
    };
    BackendError::failed(format!("the Kafka {role} can't be created, check the properties: {reason}"))
}

/// Replaces the values of properties in a text by their names.
fn without_values(kafka: &Kafka, text: &str) -> String {
    let is_part = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    kafka.properties.iter().filter(|(_, value)| !value.is_empty()).fold(text.to_owned(), |text, (name, value)| {
        let (mut shown, mut from) = (String::new(), 0);
        for (at, _) in text.match_indices(value.as_str()) {
            let end = at + value.len();
            if !is_part(text[..at].chars().next_back()) && !is_part(text[end..].chars().next()) {
                shown.push_str(&text[from..at]);
                shown.push_str(&format!("(the value of `{}`)", name_of(name)));
                from = end;
            }
        }
        shown + &text[from..]
    })
}

/// The code of an error, whichever call it comes from.
pub(super) fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        _ => error.rdkafka_error_code(),
    }
}

/// The broker's code for a missing right to this resource.
fn denial(resource: &Resource) -> Code {
    match resource {
        Resource::Topic(_) => Code::TopicAuthorizationFailed,
        Resource::Group(_) | Resource::Groups(_) => Code::GroupAuthorizationFailed,
        Resource::TransactionalIds(_) => Code::TransactionalIdAuthorizationFailed,
    }
}

/// Whether a right is missing.
pub(super) fn is_denial(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// Whether the broker rejects a record because of its contents, so that it would reject it again.
pub(super) fn is_rejection(code: Code) -> bool {
    matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidDifferentRecord
            | Code::InvalidTimestamp
            | Code::MessageBatchTooLarge
            | Code::PolicyViolation
    )
}

/// Whether trying again is of no use.
fn is_lasting(error: &KafkaError) -> bool {
    let lasting = |code| {
        is_denial(code)
            || is_rejection(code)
            || matches!(
                code,
                Code::SaslAuthenticationFailed
                    | Code::Authentication
                    | Code::UnknownTopic
                    | Code::UnknownPartition
                    | Code::UnknownTopicOrPartition
                    | Code::InvalidConfig
                    | Code::InvalidTopic
            )
    };
    code(error).is_some_and(lasting) || matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_))
}

/// Errors of a read after which the client library continues by itself.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    !is_lasting(error)
        && code(error) != Some(Code::AutoOffsetReset)
        && !matches!(error, KafkaError::MessageConsumptionFatal(_))
}

/// Whether a record that was not acknowledged is certainly not in the log.
pub(super) fn is_certainly_not_written(error: &KafkaError) -> bool {
    is_lasting(error)
}

/// No broker answers at the address.
pub(super) fn unreachable(bootstrap_servers: &str, within: Duration, error: KafkaError) -> BackendError {
    BackendError::unavailable(format!(
        "no Kafka broker answered at `{bootstrap_servers}` within {within:?}; check the address, that the broker runs, and \
         the security settings"
    ))
    .because(error)
}

#[cfg(test)]
mod tests {
    use rdkafka::{consumer::BaseConsumer, producer::BaseProducer};

    use super::super::settings;
    use super::*;

    /// Everything that is shown of a client that can't be created with this property.
    fn said(name: &str, value: &str) -> String {
        let kafka = Kafka::new("localhost:1").property("security.protocol", "SASL_PLAINTEXT").property(name, value);
        let unmade: Result<BaseConsumer, _> = settings::client(&kafka, &[]).create();
        let error = client_error(&kafka, "reader", &unmade.err().expect("it can't be made"));
        let also: Result<BaseProducer, _> = settings::client(&kafka, &[]).create();
        let also = client_error(&kafka, "producer", &also.err().expect("nor can this"));
        format!("{error} {error:?} {also} {kafka:?}")
    }

    #[test]
    fn errors_of_configuration_name_the_property_and_not_its_value() {
        for name in
            ["sasl.pasword", "sasl.password=hunter2", "socket.timeout.ms", "acks", "ssl.ca.pem", "sasl.mechanism"]
        {
            let said = said(name, "hunter2");
            assert!(said.contains(&format!("`{}`", name_of(name))), "{name} is not named: {said}");
            assert!(!said.contains("hunter2"), "{name}: {said}");
        }
    }
}
