//! The results as an SVG of two panels, readable on light and on dark pages.

use std::{fmt::Write, iter};

use super::{
    Row,
    clients::limit,
    measured::{Ages, Measured},
};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;

/// A panel's place for the data, from the panel's own corner.
const PLOT: Rectangle = Rectangle {
    left: 70.0,
    top: 92.0,
    right: 460.0,
    bottom: 330.0,
};

/// How far from each other the entries of a legend and the labels of an axis are at least.
const LEGEND_STEP: f64 = 92.0;
const LABEL_STEP: f64 = 28.0;

/// Younger answers are drawn as if they were this old, since a logarithm has no zero.
const YOUNGEST: f64 = 0.1;

/// The card has its own background, since a page may be dark where the system is light.
const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; }
.quiet { fill: #59636e; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.card { fill: #ffffff; stroke: #d1d9e0; }
.grid { stroke: #d1d9e0; }
.line { fill: none; stroke: currentColor; stroke-width: 2.5; stroke-linejoin: round; }
circle { fill: currentColor; }
.dashed .line { stroke-width: 1.5; stroke-dasharray: 6 5; }
.blue { color: #0969da; }
.orange { color: #bc4c00; }
.violet { color: #8250df; }
.grey { color: #59636e; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
  .card { fill: #0d1117; stroke: #3d444d; }
  .grid { stroke: #3d444d; }
  .blue { color: #4493f8; }
  .orange { color: #f0883e; }
  .violet { color: #ab7df8; }
  .grey { color: #9198a1; }
}
";

struct Rectangle {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

struct Panel<'a> {
    title: &'a str,
    x: &'a Axis,
    y: Axis,
    series: Vec<Series>,
}

/// From a value to its place, which is between 0 and 1.
struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

struct Series {
    name: &'static str,
    class: &'static str,
    points: Vec<(f64, f64)>,
}

/// The picture, with `conditions` below it.
pub fn draw(rows: &[Row], conditions: &str) -> String {
    let x = calls_axis(rows);
    let panels = [answered(rows, &x), ages(rows, &x)];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>{}; {}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        panels[0].title,
        panels[1].title,
        WIDTH - 1.0,
        HEIGHT - 1.0,
    );
    for (panel, left) in panels.iter().zip([0.0, WIDTH / 2.0]) {
        let _ = write!(
            svg,
            "<g transform=\"translate({left} 0)\">\n{}</g>\n",
            panel.draw()
        );
    }
    let (middle, bottom) = (WIDTH / 2.0, HEIGHT - 16.0);
    svg + &text("quiet middle", middle, bottom, conditions) + "</svg>\n"
}

fn answered<'a>(rows: &[Row], x: &'a Axis) -> Panel<'a> {
    let shares = |of: fn(&Row) -> &Measured| points(rows, |row| Some(of(row).ok * 100.0));
    let ticks = [0.0, 25.0, 50.0, 75.0, 100.0].map(|tick| (tick, format!("{tick} %")));
    Panel {
        title: "Calls that are answered OK",
        x,
        y: Axis {
            low: 0.0,
            high: 100.0,
            is_logarithmic: false,
            ticks: ticks.into(),
        },
        series: vec![
            Series {
                name: "without",
                class: "orange",
                points: shares(|row| &row.without),
            },
            Series {
                name: "facade",
                class: "blue",
                points: shares(|row| &row.facade),
            },
        ],
    }
}

fn ages<'a>(rows: &[Row], x: &'a Axis) -> Panel<'a> {
    let ages = |of: fn(&Ages) -> f64| points(rows, |row| row.facade.ages.as_ref().map(of));
    let series = vec![
        Series {
            name: "limit: calls × 0.2 s",
            class: "grey dashed",
            points: points(rows, |row| Some(limit(row.calls).as_secs_f64())),
        },
        Series {
            name: "max",
            class: "violet",
            points: ages(|ages| ages.max.as_secs_f64()),
        },
        Series {
            name: "median",
            class: "blue",
            points: ages(|ages| ages.median.as_secs_f64()),
        },
    ];
    let oldest = series.iter().flat_map(|it| &it.points).map(|point| point.1);
    let oldest = oldest.fold(YOUNGEST, f64::max);
    let powers = || iter::successors(Some(YOUNGEST), |power| Some(power * 10.0));
    let high = powers().find(|power| *power > oldest).unwrap_or(oldest);
    let ticks = powers().take_while(|power| *power <= high);
    let label = |tick: f64| format!("{}{tick} s", if tick > YOUNGEST { "" } else { "≤ " });
    Panel {
        title: "Age of the facade's answers",
        x,
        y: Axis {
            low: YOUNGEST,
            high,
            is_logarithmic: true,
            ticks: ticks.map(|tick| (tick, label(tick))).collect(),
        },
        series,
    }
}

fn points(rows: &[Row], value: impl Fn(&Row) -> Option<f64>) -> Vec<(f64, f64)> {
    let point = |row: &Row| Some((f64::from(row.calls), value(row)?));
    rows.iter().filter_map(point).collect()
}

/// A little wider than the numbers of calls, which are its ticks.
fn calls_axis(rows: &[Row]) -> Axis {
    let calls = || rows.iter().map(|row| f64::from(row.calls));
    Axis {
        low: calls().fold(f64::INFINITY, f64::min) / 1.3,
        high: calls().fold(0.0, f64::max) * 1.3,
        is_logarithmic: true,
        ticks: calls().map(|calls| (calls, calls.to_string())).collect(),
    }
}

impl Panel<'_> {
    fn draw(&self) -> String {
        let Rectangle {
            left,
            right,
            bottom,
            ..
        } = PLOT;
        let middle = f64::midpoint(left, right);
        let mut svg = text("title", left, 34.0, self.title);
        let mut last = f64::NEG_INFINITY;
        for (calls, label) in &self.x.ticks {
            let x = self.x(*calls);
            // Labels that would run into each other help nobody.
            if x - last >= LABEL_STEP {
                svg += &text("quiet middle", x, bottom + 20.0, label);
                last = x;
            }
        }
        svg += &text(
            "quiet middle",
            middle,
            bottom + 42.0,
            "different calls asked for",
        );
        for (value, label) in &self.y.ticks {
            let y = self.y(*value);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>");
            svg += &text("quiet end", left - 8.0, y + 4.0, label);
        }
        // The legend is the other way round: what is drawn last is on top, and the first to look at.
        for (series, x) in self
            .series
            .iter()
            .rev()
            .zip(iter::successors(Some(left), |x| Some(x + LEGEND_STEP)))
        {
            let Series { name, class, .. } = series;
            let _ = writeln!(
                svg,
                "<g class=\"{class}\"><path class=\"line\" d=\"M{x} 58h20\"/></g>"
            );
            svg += &text("", x + 26.0, 62.0, name);
        }
        for series in &self.series {
            svg += &self.line(series);
        }
        svg
    }

    /// A line with a dot for each point, which shows its value when it is pointed at.
    fn line(&self, series: &Series) -> String {
        let Series {
            name,
            class,
            points,
        } = series;
        let (mut path, mut dots) = (String::new(), String::new());
        for (calls, value) in points {
            let (x, y) = (self.x(*calls), self.y(*value));
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{x:.1} {y:.1}");
            let _ = writeln!(
                dots,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\">\
                 <title>{name}, {calls} calls: {value:.1}</title></circle>"
            );
        }
        format!("<g class=\"{class}\">\n<path class=\"line\" d=\"{path}\"/>\n{dots}</g>\n")
    }

    fn x(&self, calls: f64) -> f64 {
        PLOT.left + self.x.place(calls) * (PLOT.right - PLOT.left)
    }

    fn y(&self, value: f64) -> f64 {
        PLOT.bottom - self.y.place(value) * (PLOT.bottom - PLOT.top)
    }
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let scaled = |value: f64| {
            if self.is_logarithmic {
                value.ln()
            } else {
                value
            }
        };
        (scaled(value) - scaled(self.low)) / (scaled(self.high) - scaled(self.low))
    }
}

fn text(class: &str, x: f64, y: f64, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n")
}
