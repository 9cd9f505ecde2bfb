use std::{error::Error, iter::successors, time::Duration};

use rdkafka::{
    error::{KafkaError, RDKafkaError},
    types::RDKafkaConfRes,
    types::RDKafkaErrorCode as Code,
};
use simple_sourcing::BackendError;

use crate::{
    access::{Resource, Right},
    config::Kafka,
};

/// What a failed call to Kafka means to the caller: whether it may work later, and what to look at.
pub(crate) fn describe(what: impl Into<String>, error: KafkaError) -> BackendError {
    if is_lasting(&error) { BackendError::failed(what) } else { BackendError::unavailable(what) }.because(error)
}

impl Kafka {
    /// The same of a call that needs these rights. Those that it lacks, or may lack, are named.
    pub(crate) fn describe(&self, what: impl Into<String>, needs: &[Right], error: KafkaError) -> BackendError {
        let lacks: Vec<&Right> = needs.iter().filter(|right| code(&error) == Some(denial(&right.resource))).collect();
        if lacks.is_empty() {
            let what = what.into();
            return match code(&error) {
                Some(Code::Authentication | Code::SaslAuthenticationFailed) => {
                    describe(format!("{what}: {} is refused, check the SASL settings", self.principal()), error)
                }
                _ => describe(what, error),
            };
        }
        BackendError::failed(format!("{}: {}", what.into(), self.lacking(&lacks))).because(error)
    }

    /// A client could not be made: its settings are wrong. The property is named, and never its value, which may be a
    /// password, or one under a name that is misspelled. So the error of the client library is no part of this one.
    pub(crate) fn client_error(&self, role: &str, error: &KafkaError) -> BackendError {
        let reason = match error {
            KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
                format!("librdkafka has no property `{}`; look for a slip of the pen", name_of(name))
            }
            KafkaError::ClientConfig(_, _, name, _) => {
                format!("property `{}` has a value that librdkafka does not take", name_of(name))
            }
            KafkaError::ClientCreation(reason) => self.without_values(reason),
            other => self.without_values(&other.to_string()),
        };
        BackendError::failed(format!("the Kafka {role} can't be made, check the properties: {reason}"))
    }

    /// A text of the client library with the names of properties in the place of their values.
    fn without_values(&self, text: &str) -> String {
        let is_part = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
        self.properties.iter().filter(|(_, value)| !value.is_empty()).fold(text.to_owned(), |text, (name, value)| {
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

    /// That one of these rights is missing, and how they are granted.
    pub(crate) fn lacking(&self, rights: &[&Right]) -> String {
        let (user, servers) = (self.user().unwrap_or("..."), &self.bootstrap_servers);
        let command = format!("kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:{user}");
        let names: Vec<String> = rights.iter().map(|right| right.in_words()).collect();
        let commands: Vec<String> = rights.iter().map(|right| format!("`{command} {right}`")).collect();
        let (names, commands) = (names.join(" or "), commands.join(" and "));
        format!("{} lacks {names}; grant it with {commands}", self.principal())
    }
}

/// The name of a property; of one that was written with its value, what stands in front of that.
pub(crate) fn name_of(property: &str) -> &str {
    property.split_once('=').map_or(property, |(name, _)| name)
}

/// The code of an error, of whichever call.
pub(crate) fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        _ => error.rdkafka_error_code(),
    }
}

/// What a broker answers to those who have no right to something.
fn denial(resource: &Resource) -> Code {
    match resource {
        Resource::Topic(_) => Code::TopicAuthorizationFailed,
        Resource::Group(_) => Code::GroupAuthorizationFailed,
        Resource::TransactionalIds(_) => Code::TransactionalIdAuthorizationFailed,
    }
}

/// Whether a right is missing.
pub(crate) fn is_denial(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// Whether a broker refuses a record for what it is, so that it would refuse it each time.
pub(crate) fn is_refusal(code: Code) -> bool {
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

/// Whether an error is that a right is missing.
pub(crate) fn is_denied(error: &BackendError) -> bool {
    is_caused_by(error, is_denial)
}

/// Whether an error is that a record is refused.
pub(crate) fn is_refused(error: &BackendError) -> bool {
    is_caused_by(error, is_refusal)
}

fn is_caused_by(error: &BackendError, is: fn(Code) -> bool) -> bool {
    let mut causes = successors(error.source(), |&cause| cause.source());
    causes.any(|cause| {
        let native = || cause.downcast_ref::<RDKafkaError>().map(RDKafkaError::code);
        cause.downcast_ref().copied().or_else(native).is_some_and(is)
    })
}

/// Whether trying again is of no use.
fn is_lasting(error: &KafkaError) -> bool {
    let lasting = |code| {
        is_denial(code)
            || is_refusal(code)
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

/// Whether a record that was not delivered is certainly not in the log.
pub(crate) fn is_certainly_not_written(error: &KafkaError) -> bool {
    is_lasting(error)
}

/// Nobody answers at the address.
pub(crate) fn unreachable(bootstrap_servers: &str, within: Duration, error: KafkaError) -> BackendError {
    BackendError::unavailable(format!(
        "no Kafka broker answered at `{bootstrap_servers}` within {within:?}; check the address, that the broker runs, and \
         the security settings"
    ))
    .because(error)
}

#[cfg(test)]
mod tests {
    use rdkafka::{consumer::BaseConsumer, producer::BaseProducer};

    use super::*;

    /// What is said of a client that can't be made with this property, in every form that is shown.
    fn said(name: &str, value: &str) -> String {
        let kafka = Kafka::new("localhost:1").property("security.protocol", "SASL_PLAINTEXT").property(name, value);
        let unmade: Result<BaseConsumer, _> = kafka.client(&[]).create();
        let error = kafka.client_error("reader", &unmade.err().expect("it can't be made"));
        let also: Result<BaseProducer, _> = kafka.client(&[]).create();
        let also = kafka.client_error("producer", &also.err().expect("nor can this"));
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
