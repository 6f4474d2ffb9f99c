//! The results as a Markdown table whose columns line up.

use std::{fmt::Write, time::Duration};

use super::{
    Row,
    clients::limit,
    measured::{Ages, Count, Measured},
};

const HEAD: [&str; 11] = [
    "calls",
    "",
    "OK",
    "OK with the first fill",
    "the rest",
    "requests (most in 3 s)",
    "429s (most in 3 s)",
    "age: median",
    "p99",
    "max",
    "limit",
];

/// Which columns are text, and begin at the left.
const TEXT: [usize; 2] = [1, 4];

/// The table, with a line for each run.
pub fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    for Row {
        calls,
        facade,
        without,
    } in rows
    {
        lines.push(line(*calls, "facade", facade));
        lines.push(line(*calls, "without", without));
    }
    let widths: [usize; HEAD.len()] = std::array::from_fn(|column| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    });
    let rule = std::array::from_fn(|column| match widths[column] {
        width if TEXT.contains(&column) => "-".repeat(width),
        width => "-".repeat(width.saturating_sub(1)) + ":",
    });
    lines.insert(1, rule);

    let mut table = String::new();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let _ = if TEXT.contains(&column) {
                write!(table, "| {cell:<width$} ")
            } else {
                write!(table, "| {cell:>width$} ")
            };
        }
        table.push_str("|\n");
    }
    table
}

fn line(calls: u32, name: &str, measured: &Measured) -> [String; HEAD.len()] {
    let refusals = measured.refusals.iter();
    let refusals = refusals.map(|(reason, count)| format!("{count} {reason}"));
    let age = |of: fn(&Ages) -> Duration| {
        measured
            .ages
            .as_ref()
            .map_or_else(String::new, |ages| seconds(of(ages)))
    };
    [
        calls.to_string(),
        name.to_owned(),
        percent(measured.ok),
        percent(measured.ok_overall),
        refusals.collect::<Vec<_>>().join(", "),
        count(measured.requests),
        count(measured.limited),
        age(|ages| ages.median),
        age(|ages| ages.p99),
        age(|ages| ages.max),
        seconds(limit(calls)),
    ]
}

/// Rounded down, since one call without an answer is not 100 %.
fn percent(share: f64) -> String {
    format!("{:.2} %", (share * 10_000.0).floor() / 100.0)
}

fn count(Count { total, most }: Count) -> String {
    format!("{total} ({most})")
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
