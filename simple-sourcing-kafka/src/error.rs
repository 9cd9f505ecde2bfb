use std::{error::Error, iter::successors, time::Duration};

use rdkafka::{
    error::{KafkaError, RDKafkaError},
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
