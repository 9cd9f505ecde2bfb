//! The offsets of a transaction. A thread of its own writes them, because this is the only call of the client library
//! without a timeout. If the request is lost inside the library, for example with a broker that shuts down and leaves
//! its list, the call waits for ever.

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
    /// The thread ends when this is dropped.
    requests: Option<Sender<(TopicPartitionList, ConsumerGroupMetadata)>>,
    written: Receiver<KafkaResult<()>>,
    /// None once it has not come back. It is then left alone, with its handle to the producer.
    thread: Option<JoinHandle<()>>,
    timeout: Duration,
}

impl Offsets {
    /// For a producer whose steps may take this long.
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

    /// Adds offsets to the transaction. After an error it can't be used any more.
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
            // The panic was reported where it happened.
            let _ = thread.join();
        }
    }
}
