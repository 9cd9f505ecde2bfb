use rdkafka::{
    ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError, types::RDKafkaErrorCode,
};
use tracing::{debug, info, warn};

/// The context of clients that need no other.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        report(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// Logs an error that the client library met beside the calls made to it. It tries again by itself, so none of them is
/// more than a warning: what comes of it is reported by the call that fails.
pub(crate) fn report(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        // The end of a partition is no error. It comes without a code of its own on some paths.
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        _ if matches!(error, KafkaError::PartitionEOF(_)) => {}
        Some(RDKafkaErrorCode::BrokerTransportFailure) => debug!(%error, reason, "connection lost"),
        _ => warn!(%error, reason, "the Kafka client reports"),
    }
}

/// Passes on a line of the client library's log.
pub(crate) fn forward(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Debug => debug!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => info!(facility, message, "librdkafka"),
        _ => warn!(facility, message, "librdkafka"),
    }
}
