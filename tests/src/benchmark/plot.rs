//! The tables as pictures: a file for each section, with a panel for each comparison in it.

use std::{error::Error, fs, path::Path};

use plotters::prelude::*;

use super::comparison::{Report, Row, Spread};

const WIDTH: u32 = 900;
const ROW_HEIGHT: usize = 26;
const HEADING_HEIGHT: usize = 60;

const FIRST: RGBColor = RGBColor(150, 160, 170);
const OTHERS: RGBColor = RGBColor(40, 110, 180);

/// Writes `<section>.svg` for each section.
///
/// # Errors
/// When a file can't be written.
pub(super) fn all(reports: &[Report], directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    for reports in reports.chunk_by(|one, other| one.section == other.section) {
        let file = directory.join(format!("{}.svg", reports[0].section));
        let heights: Vec<usize> =
            reports.iter().map(|Report { rows, .. }| HEADING_HEIGHT + rows.len() * ROW_HEIGHT).collect();
        let mut rest = SVGBackend::new(&file, (WIDTH, heights.iter().sum::<usize>() as u32)).into_drawing_area();
        rest.fill(&WHITE)?;
        for (report, height) in reports.iter().zip(heights) {
            let (panel, below) = rest.split_vertically(height as u32);
            draw(report, &panel)?;
            rest = below;
        }
    }
    Ok(())
}

fn draw(
    Report { title, unit, rows, .. }: &Report,
    panel: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
) -> Result<(), Box<dyn Error>> {
    let longest = rows.iter().flat_map(|row| row.figures.iter().copied()).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("{title} ({})", unit.name()), ("sans-serif", 15))
        .margin(4)
        .x_label_area_size(22)
        .build_cartesian_2d(0.0..longest * 1.6, 0.0..rows.len() as f64)?;
    let mesh = &mut chart.configure_mesh();
    mesh.disable_y_mesh().y_labels(0).x_labels(6).x_label_formatter(&|x| format!("{x:.0}")).draw()?;
    for (place, Row { name, figures, ratios, .. }) in rows.iter().enumerate() {
        let (Spread { median, least, most }, ratio) = (Spread::of(figures), Spread::of(ratios).median);
        let middle = (rows.len() - place) as f64 - 0.5;
        let color = if place == 0 { FIRST } else { OTHERS };
        let bar = Rectangle::new([(0.0, middle - 0.35), (median, middle + 0.35)], color.filled());
        chart.draw_series([bar])?;
        // The spread of the rounds.
        chart.draw_series([PathElement::new([(least, middle), (most, middle)], BLACK)])?;
        let text = format!("{name}: {median:.0}, ratio {ratio:.2}");
        chart.draw_series([Text::new(text, (most + longest * 0.01, middle + 0.2), ("sans-serif", 13))])?;
    }
    Ok(())
}
