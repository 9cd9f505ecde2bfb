//! Counts the answers.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::outcome::{Answered, Outcome};

/// Longer than any command is retried.
const LATENCY_US_MAX: u64 = 100_000_000;

pub struct Tally {
    accepted: u64,
    rejected: u64,
    unknown: u64,
    /// Answers that a healthy bank does not give, and the first of them.
    wrong: u64,
    first_wrong: Option<String>,
    latency_us: Histogram<u64>,
}

#[derive(Serialize)]
struct Report {
    commands: u64,
    accepted: u64,
    rejected: u64,
    unknown: u64,
    seconds: f64,
    per_second: f64,
    latency_us: Latency,
    /// From the answer to the rows in the read model.
    #[serde(skip_serializing_if = "Option::is_none")]
    row_latency_us: Option<Latency>,
}

#[derive(Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { accepted: 0, rejected: 0, unknown: 0, wrong: 0, first_wrong: None, latency_us: latencies() }
    }
}

/// Room for latencies in microseconds.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_US_MAX, 3).expect("the limits are sound")
}

impl From<&Histogram<u64>> for Latency {
    fn from(latencies: &Histogram<u64>) -> Self {
        let at = |quantile| latencies.value_at_quantile(quantile);
        Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: latencies.max() }
    }
}

impl Tally {
    pub fn count(&mut self, answered: &Answered) {
        self.latency_us.saturating_record(answered.latency.as_micros() as u64);
        match &answered.outcome {
            Outcome::Unknown => self.unknown += 1,
            _ if !answered.is_plausible() => {
                self.wrong += 1;
                let Answered { command, outcome, .. } = answered;
                self.first_wrong.get_or_insert_with(|| format!("{command:?} was answered with {outcome:?}"));
            }
            Outcome::Ok { .. } => self.accepted += 1,
            Outcome::Err(_) => self.rejected += 1,
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.unknown += other.unknown;
        self.wrong += other.wrong;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
        self.latency_us += other.latency_us;
    }

    /// The line of JSON.
    pub fn report(&self, seconds: f64, rows: Option<&Histogram<u64>>) -> String {
        let Tally { accepted, rejected, unknown, wrong, ref latency_us, .. } = *self;
        let commands = accepted + rejected + unknown + wrong;
        let report = Report {
            commands,
            accepted,
            rejected,
            unknown,
            seconds: (seconds * 1e6).round() / 1e6,
            per_second: (commands as f64 / seconds).round(),
            latency_us: latency_us.into(),
            row_latency_us: rows.map(Latency::from),
        };
        serde_json::to_string(&report).expect("numbers have a JSON form")
    }

    /// What went wrong.
    pub fn complaints(&self, when: &str) -> Vec<String> {
        let unknown = (self.unknown > 0).then(|| {
            format!("when {when}, {} commands had no answer within a minute: their outcome is unknown", self.unknown)
        });
        let wrong = self.first_wrong.as_ref().map(|first| {
            format!("when {when}, {} answers came that a bank that works does not give; the first: {first}", self.wrong)
        });
        unknown.into_iter().chain(wrong).collect()
    }
}
