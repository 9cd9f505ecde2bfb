//! The offsets of a transaction. They are written by a thread of their own: of all calls of the client library this alone
//! has no end of its own. Where the request is lost inside the library, as with a broker that is shutting down and so
//! taken out of its list, it waits for the answer for ever.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use rdkafka::{
    TopicPartitionList,
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, KafkaResult},
    producer::{Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use simple_sourcing::BackendError;

pub(super) struct Offsets {
    /// The thread ends when this is gone.
    requests: Option<Sender<(TopicPartitionList, ConsumerGroupMetadata)>>,
    written: Receiver<KafkaResult<()>>,
    /// None once it has not come back. It is left alone then, with its share of the producer.
    thread: Option<JoinHandle<()>>,
    timeout: Duration,
}

impl Offsets {
    /// Of a producer whose steps may take so long.
    pub(super) fn of<C>(producer: ThreadedProducer<C>, timeout: Duration) -> Result<Self, BackendError>
    where
        C: ProducerContext + 'static,
    {
        let (requests, taken) = mpsc::channel::<(TopicPartitionList, ConsumerGroupMetadata)>();
        let (sender, written) = mpsc::channel();
        let write = move || {
            for (offsets, group) in taken {
                if sender.send(producer.send_offsets_to_transaction(&offsets, &group, timeout)).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("offsets".into()).spawn(write);
        let thread = thread.map_err(|error| BackendError::failed("the offsets thread can't be spawned").because(error));
        Ok(Offsets { requests: Some(requests), written, thread: Some(thread?), timeout })
    }

    /// Adds offsets to the transaction. After an error it is of no use any more.
    pub(super) fn write(&mut self, offsets: TopicPartitionList, group: ConsumerGroupMetadata) -> KafkaResult<()> {
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send((offsets, group)).is_ok());
        match self.written.recv_timeout(self.timeout) {
            Ok(written) if sent => written,
            _ => {
                self.thread = None;
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut))
            }
        }
    }
}

impl Drop for Offsets {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}
