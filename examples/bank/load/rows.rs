//! How long it takes from the answer of a command to its rows in the read model: of a sample, because one command is waited for
//! at a time.

use std::{error::Error, sync::Arc, time::Instant};

use hdrhistogram::Histogram;
use simple_sourcing::Receipt;
use tokio::{sync::mpsc, task::JoinHandle};

use super::tally::latencies;
use crate::read_model::ReadModel;

/// Waits for the rows of commands.
pub struct Rows {
    waiter: JoinHandle<Result<Histogram<u64>, String>>,
    accepted: Accepted,
}

/// Where the lanes hand over what was accepted.
#[derive(Clone)]
pub struct Accepted(mpsc::Sender<(Receipt, Instant)>);

impl Rows {
    pub fn watch(read_model: Arc<ReadModel>) -> Self {
        let (accepted, mut waiting) = mpsc::channel::<(Receipt, Instant)>(1);
        let waiter = tokio::spawn(async move {
            let mut latency_us = latencies();
            while let Some((receipt, answered)) = waiting.recv().await {
                let waited = read_model.wait_for(&receipt).await;
                waited.map_err(|error| format!("the rows of command {} did not come: {error}", receipt.command_id))?;
                latency_us.saturating_record(answered.elapsed().as_micros() as u64);
            }
            Ok(latency_us)
        });
        Rows { waiter, accepted: Accepted(accepted) }
    }

    pub fn accepted(&self) -> Accepted {
        self.accepted.clone()
    }

    /// What was measured. The lanes must have ended.
    pub async fn finish(self) -> Result<Histogram<u64>, Box<dyn Error>> {
        drop(self.accepted);
        Ok(self.waiter.await??)
    }
}

impl Accepted {
    /// Measures this one, unless another is being waited for.
    pub fn saw(&self, receipt: &Receipt) {
        if let Ok(slot) = self.0.try_reserve() {
            slot.send((receipt.clone(), Instant::now()));
        }
    }
}
