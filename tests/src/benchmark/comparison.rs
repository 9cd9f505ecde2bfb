//! Contenders that take turns, and the table of the results.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::processor::Spent;

/// The same work, done by several contenders. The others are compared with the first one.
pub struct Comparison {
    /// Under which conditions.
    pub title: String,
    /// What the figures are.
    pub unit: Unit,
    /// In the order of the table.
    pub contenders: Vec<Contender>,
}

/// What a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Unit {
    /// Commands per second.
    PerSecond,
    /// The median latency.
    Microseconds,
    /// For each command.
    Nanoseconds,
}

/// What a contender has measured.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// In the unit of the comparison.
    pub value: f64,
    /// Of single commands, where they were taken.
    pub latencies: Option<Latencies>,
    /// What a command took of the processors, where that was taken.
    pub processors: Option<Spent>,
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        Figure { value, latencies: None, processors: None }
    }
}

/// Percentiles, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latencies {
    /// Of half of them.
    pub p50: f64,
    /// Of 99 in 100.
    pub p99: f64,
    /// Of 999 in 1000.
    pub p999: f64,
}

impl Latencies {
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies[index.min(latencies.len() - 1)].as_secs_f64() * 1e6
        };
        Latencies { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

/// One way to do the work.
pub struct Contender {
    name: String,
    /// The target ratio to the first contender.
    target: Option<f64>,
    measure: Box<dyn FnMut() -> Figure>,
}

impl Contender {
    /// Its measurement is made once in each round.
    pub fn new<F: Into<Figure>>(name: impl Into<String>, mut measure: impl FnMut() -> F + 'static) -> Self {
        Contender { name: name.into(), target: None, measure: Box::new(move || measure().into()) }
    }

    /// Sets the target ratio to the first contender.
    #[must_use]
    pub fn aiming_at(mut self, ratio: f64) -> Self {
        self.target = Some(ratio);
        self
    }
}

/// The result of a comparison.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(super) section: String,
    pub(super) title: String,
    pub(super) unit: Unit,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// One for each round.
    pub(super) figures: Vec<f64>,
    /// To the first contender, in the same round.
    pub(super) ratios: Vec<f64>,
    pub(super) target: Option<f64>,
    /// One for each round, if they were measured.
    pub(super) latencies: Vec<Latencies>,
    /// One for each round, if it was measured.
    pub(super) processors: Vec<Spent>,
}

impl Comparison {
    /// Has the contenders take turns.
    #[must_use]
    pub fn run(mut self, section: &str, rounds: usize) -> Report {
        let mut figures: Vec<Vec<Figure>> = vec![Vec::new(); self.contenders.len()];
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..self.contenders.len()).collect();
            // Each contender is first and last equally often.
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                figures[index].push((self.contenders[index].measure)());
            }
        }
        let first = figures[0].clone();
        let row = |(contender, figures): (Contender, Vec<Figure>)| Row {
            ratios: figures.iter().zip(&first).map(|(figure, first)| figure.value / first.value).collect(),
            name: contender.name,
            target: contender.target,
            latencies: figures.iter().filter_map(|figure| figure.latencies).collect(),
            processors: figures.iter().filter_map(|figure| figure.processors).collect(),
            figures: figures.into_iter().map(|figure| figure.value).collect(),
        };
        let rows = self.contenders.into_iter().zip(figures).map(row).collect();
        Report { section: section.into(), title: self.title, unit: self.unit, rows }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.name();
        writeln!(f, "{}: {}", self.section, self.title)?;
        writeln!(f, "  {:<34} {unit:>12} {:>23} {:>7} {:>13}  target", "", "range", "ratio", "range")?;
        for Row { name, figures, ratios, target, latencies, processors } in &self.rows {
            let (figure, ratio) = (Spread::of(figures), Spread::of(ratios));
            let range = format!("{:.0} to {:.0}", figure.least, figure.most);
            let ratios = format!("{:.2} to {:.2}", ratio.least, ratio.most);
            write!(f, "  {name:<34} {:>12.0} {range:>23} {:>7.2} {ratios:>13}", figure.median, ratio.median)?;
            match (target, self.unit) {
                (Some(target), Unit::PerSecond) => write!(f, "  ≥ {target:.2}")?,
                (Some(target), Unit::Microseconds | Unit::Nanoseconds) => write!(f, "  ≤ {target:.2}")?,
                (None, _) => {}
            }
            writeln!(f)?;
            if !latencies.is_empty() {
                let ms = |of: fn(&Latencies) -> f64| median(latencies, of) / 1000.0;
                let (p50, p99, p999) = (ms(|all| all.p50), ms(|all| all.p99), ms(|all| all.p999));
                writeln!(f, "  {:<34} {p50:>12.2} ms p50, {p99:.2} ms p99, {p999:.2} ms p99.9", "")?;
            }
            if !processors.is_empty() {
                let us = |of| median(processors, of);
                let (own, others, idle) = (us(|all| all.own), us(|all| all.others), us(|all| all.idle));
                writeln!(f, "  {:<34} {own:>12.1} µs of processor here, {others:.1} elsewhere, {idle:.1} idle", "")?;
            }
        }
        Ok(())
    }
}

fn median<T>(all: &[T], of: fn(&T) -> f64) -> f64 {
    Spread::of(&all.iter().map(of).collect::<Vec<_>>()).median
}

impl Unit {
    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::PerSecond => "commands/s",
            Unit::Microseconds => "µs, median",
            Unit::Nanoseconds => "ns",
        }
    }
}

/// The median of some figures, and their spread.
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    pub(super) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Spread { median: (low + high) / 2.0, least, most }
    }
}
