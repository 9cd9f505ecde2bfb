//! Contenders that take turns, and the table of what came of it.

use std::fmt;

use serde::Serialize;

/// The same work, done by several contenders. The first is the one that the others are measured by.
pub struct Comparison {
    pub title: String,
    pub unit: Unit,
    pub contenders: Vec<Contender>,
}

/// What a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Unit {
    /// Commands per second.
    PerSecond,
    /// The median latency.
    Microseconds,
}

/// One way to do the work.
pub struct Contender {
    name: String,
    /// The ratio to the first that is aimed at.
    target: Option<f64>,
    measure: Box<dyn FnMut() -> f64>,
}

impl Contender {
    pub fn new(name: impl Into<String>, measure: impl FnMut() -> f64 + 'static) -> Self {
        Contender { name: name.into(), target: None, measure: Box::new(measure) }
    }

    pub fn aiming_at(mut self, ratio: f64) -> Self {
        self.target = Some(ratio);
        self
    }
}

/// What came of a comparison.
#[derive(Debug, Serialize)]
pub struct Report {
    section: String,
    title: String,
    unit: Unit,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// One for each round.
    figures: Vec<f64>,
    /// To the first contender, in the same round.
    ratios: Vec<f64>,
    target: Option<f64>,
}

impl Comparison {
    pub fn run(mut self, section: &str, rounds: usize) -> Report {
        let mut figures = vec![Vec::new(); self.contenders.len()];
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..self.contenders.len()).collect();
            // Whatever comes of being first or last comes to each.
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                figures[index].push((self.contenders[index].measure)());
            }
        }
        let first = figures[0].clone();
        let row = |(contender, figures): (Contender, Vec<f64>)| Row {
            ratios: figures.iter().zip(&first).map(|(figure, first)| figure / first).collect(),
            name: contender.name,
            target: contender.target,
            figures,
        };
        let rows = self.contenders.into_iter().zip(figures).map(row).collect();
        Report { section: section.into(), title: self.title, unit: self.unit, rows }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::PerSecond => "commands/s",
            Unit::Microseconds => "µs, median",
        };
        writeln!(f, "{}: {}", self.section, self.title)?;
        writeln!(f, "  {:<34} {unit:>12} {:>23} {:>7} {:>13}  target", "", "range", "ratio", "range")?;
        for Row { name, figures, ratios, target } in &self.rows {
            let (figure, ratio) = (Spread::of(figures), Spread::of(ratios));
            let range = format!("{:.0} to {:.0}", figure.least, figure.most);
            let ratios = format!("{:.2} to {:.2}", ratio.least, ratio.most);
            write!(f, "  {name:<34} {:>12.0} {range:>23} {:>7.2} {ratios:>13}", figure.median, ratio.median)?;
            match (target, self.unit) {
                (Some(target), Unit::PerSecond) => writeln!(f, "  ≥ {target:.2}")?,
                (Some(target), Unit::Microseconds) => writeln!(f, "  ≤ {target:.2}")?,
                (None, _) => writeln!(f)?,
            }
        }
        Ok(())
    }
}

struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Spread { median: (low + high) / 2.0, least, most }
    }
}
