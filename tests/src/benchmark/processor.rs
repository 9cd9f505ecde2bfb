//! What the processors of the machine do while something is measured.

use std::fs;

use serde::Serialize;

/// The unit of `/proc`, in microseconds: it is the same on every Linux.
const TICK: f64 = 10_000.0;

/// Processor time for each command, in microseconds, of all processors together.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spent {
    /// Of this process.
    pub own: f64,
    /// Of all others.
    pub others: f64,
    /// In which a processor had nothing to do.
    pub idle: f64,
}

/// How much time the processors have spent on what, up to some moment.
pub struct Processors(Spent);

impl Processors {
    /// By now.
    ///
    /// # Panics
    /// Where the system does not tell.
    #[must_use]
    pub fn now() -> Self {
        // Of the machine: user, nice, system, idle, iowait, irq, softirq. Of the process: user and system, behind 13 fields.
        let all = ticks("/proc/stat", 1);
        let own = ticks("/proc/self/stat", 13);
        let own = own[0] + own[1];
        let busy = all[0] + all[1] + all[2] + all[5] + all[6];
        Processors(Spent { own, others: busy - own, idle: all[3] + all[4] })
    }

    /// For each of this many commands since then.
    #[must_use]
    pub fn spent(&self, commands: f64) -> Spent {
        let (Processors(now), Processors(then)) = (Self::now(), self);
        let each = |now: f64, then: f64| (now - then) * TICK / commands;
        Spent { own: each(now.own, then.own), others: each(now.others, then.others), idle: each(now.idle, then.idle) }
    }
}

fn ticks(file: &str, skipped: usize) -> Vec<f64> {
    let text = fs::read_to_string(file).expect("it is there on Linux");
    let first = text.lines().next().into_iter().flat_map(str::split_whitespace);
    first.skip(skipped).filter_map(|field| field.parse().ok()).collect()
}
