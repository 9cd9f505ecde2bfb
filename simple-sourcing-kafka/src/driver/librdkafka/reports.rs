//! What clients report outside of calls: their log, and errors that no call returns.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError, types::RDKafkaErrorCode,
};
use simple_sourcing::{BackendError, port::Stopped};
use tracing::{debug, error, info, warn};

use crate::config::Kafka;

/// The client library reports a broker that refuses it no more than twice a minute. So a report that comes again within
/// this time means that nothing has changed.
const FAILURE_REPEATED: Duration = Duration::from_secs(45);

/// How long the brokers may refuse the login of a service. Only a restart with other credentials can fix that.
const LOGIN_FAILED_MAX: Duration = Duration::from_secs(20);

/// How often the same kind of error is logged. The client library reports it with each attempt to connect, ten times a
/// second.
const LOGGED_AGAIN: Duration = Duration::from_secs(10);

/// What a client reports outside of calls. It is the context of clients that need no other.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    /// The principal of the client.
    principal: Arc<str>,
    failure: Arc<Mutex<Option<ConnectFailure>>>,
    /// What was logged recently.
    logged: Arc<Mutex<Vec<Logged>>>,
    /// Where to report that the service can't continue.
    ending: Option<Stopped>,
}

/// A kind of error, and when it was logged.
#[derive(Debug)]
struct Logged {
    kind: Option<RDKafkaErrorCode>,
    at: Instant,
}

/// The brokers refuse the client, or it does not trust them.
#[derive(Debug)]
struct ConnectFailure {
    since: Instant,
    last: Instant,
    reason: String,
    /// Whether the login was refused.
    of_principal: bool,
}

impl Reports {
    pub(super) fn new(kafka: &Kafka) -> Self {
        Reports { principal: kafka.principal().into(), failure: Arc::default(), logged: Arc::default(), ending: None }
    }

    /// For the clients of a worker. They stop the service if its login is refused for too long, because a call of the
    /// client library may block the worker itself for longer.
    pub(super) fn of_worker(kafka: &Kafka, ending: &Stopped) -> Self {
        Reports { ending: Some(ending.clone()), ..Reports::new(kafka) }
    }

    /// Logs an error that no call returns. The client library retries by itself, so only what somebody has to fix is
    /// more than a warning: the call that fails because of it reports the rest.
    pub(super) fn report(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // The end of a partition is no error. On some paths it comes without its own code.
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            _ if matches!(error, KafkaError::PartitionEOF(_)) => {}
            Some(RDKafkaErrorCode::BrokerTransportFailure) => debug!(%error, reason, "connection lost"),
            Some(RDKafkaErrorCode::Authentication) => {
                let principal = &self.principal;
                self.connect_failed(true, format!("{principal} is refused, check the SASL settings: {reason}"));
            }
            Some(RDKafkaErrorCode::SSL) => self.connect_failed(
                false,
                format!(
                    "the TLS connection failed. If it is the broker's certificate: it has expired, is not signed by an \
                     authority in `ssl.ca.location`, or belongs to another host; `openssl s_client -connect HOST:PORT` \
                     shows which: {reason}"
                ),
            ),
            code if self.is_to_be_logged(code) => {
                warn!(
                    %error,
                    reason,
                    "the Kafka client reports an error; it retries by itself"
                )
            }
            _ => debug!(%error, reason, "the Kafka client reports the same error again"),
        }
    }

    /// Whether this kind of error was not logged recently.
    fn is_to_be_logged(&self, kind: Option<RDKafkaErrorCode>) -> bool {
        let (mut logged, now) = (self.logged.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        logged.retain(|last| now.duration_since(last.at) < LOGGED_AGAIN);
        let is_news = logged.iter().all(|last| last.kind != kind);
        if is_news {
            logged.push(Logged { kind, at: now });
        }
        is_news
    }

    fn connect_failed(&self, of_principal: bool, reason: String) {
        error!(reason, "the Kafka client can't connect");
        let (mut failure, now) = (self.lock(), Instant::now());
        let before = failure
            .take()
            .filter(|before| before.of_principal == of_principal && now.duration_since(before.last) < FAILURE_REPEATED);
        let since = before.map_or(now, |before| before.since);
        *failure = Some(ConnectFailure { since, last: now, reason, of_principal });
        drop(failure);
        if let (Some(ending), Some(failure)) = (&self.ending, self.login_failed_for_long()) {
            ending.set(Err(BackendError::failed(failure)));
        }
    }

    /// Why the client could not connect, if it could not.
    pub(super) fn connect_failure(&self) -> Option<String> {
        self.lock().as_ref().map(|failure| failure.reason.clone())
    }

    /// Why the login was refused, if that was the last failure.
    pub(super) fn login_failure(&self) -> Option<String> {
        self.lock().as_ref().filter(|failure| failure.of_principal).map(|failure| failure.reason.clone())
    }

    /// Why the login has been refused, if it has been for too long.
    pub(super) fn login_failed_for_long(&self) -> Option<String> {
        let failure = self.lock();
        let is_long =
            |failure: &&ConnectFailure| failure.of_principal && failure.last - failure.since >= LOGIN_FAILED_MAX;
        failure.as_ref().filter(is_long).map(|failure| failure.reason.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<ConnectFailure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        self.report(&error, reason);
    }
}

impl ConsumerContext for Reports {}

/// Forwards a line of the client library's log.
pub(super) fn forward(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Debug => debug!(facility, line = message, "librdkafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => info!(facility, line = message, "librdkafka"),
        _ => warn!(facility, line = message, "librdkafka"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_of_one_kind_is_logged_once_in_a_while() {
        let reports = Reports::new(&Kafka::new("nowhere"));
        let (down, unresolved) = (Some(RDKafkaErrorCode::AllBrokersDown), Some(RDKafkaErrorCode::Resolve));
        assert!(reports.is_to_be_logged(down));
        assert!(!reports.is_to_be_logged(down));
        assert!(reports.is_to_be_logged(unresolved));
        let mut logged = reports.logged.lock().expect("nobody has panicked");
        logged[0].at = logged[0].at.checked_sub(LOGGED_AGAIN).expect("this machine has run for longer");
        drop(logged);
        assert!(reports.is_to_be_logged(down));
    }
}
