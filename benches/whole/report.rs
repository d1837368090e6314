//! What was measured, as a table and as JSON.

use std::fmt;

use pibake::ui::Table;
use serde_json::{Value, json};

use crate::process::Run;

/// One line of the table.
pub struct Row {
    what: String,
    beside: String,
    ours: String,
    peer: String,
    /// What is held against the target, and the target.
    measured: f64,
    target: Option<f64>,
    shown: fn(f64) -> String,
    json: Value,
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{:.1} ms", value * 1e3) } else { format!("{value:.2} s") }
}

fn ratio(value: f64) -> String {
    format!("{value:.3}")
}

fn mebibytes(value: f64) -> String {
    format!("{:.0} MiB", value / f64::from(1 << 20))
}

impl Row {
    /// Times of pibake and of a peer that ran in turn with it. The ratio is the median of the
    /// rounds' ratios: what disturbs a round disturbs both sides of it.
    pub fn times(
        what: &str,
        beside: &str,
        target: impl Into<Option<f64>>,
        ours: &[Run],
        peer: &[Run],
    ) -> Self {
        let wall = |runs: &[Run]| median(runs.iter().map(|r| r.wall));
        let measured = median(ours.iter().zip(peer).map(|(a, b)| a.wall / b.wall));
        Self {
            what: what.to_owned(),
            beside: beside.to_owned(),
            ours: seconds(wall(ours)),
            peer: seconds(wall(peer)),
            measured,
            target: target.into(),
            shown: ratio,
            json: json!({ "unit": "ratio", "pibake": ours, "peer": peer }),
        }
    }

    /// Times with a limit of `limit` seconds; `of` says which.
    pub fn limit_time(what: &str, limit: f64, ours: &[Run], of: fn(&Run) -> f64) -> Self {
        let measured = median(ours.iter().map(of));
        Self::limited(what, limit, measured, seconds, json!({ "unit": "seconds", "pibake": ours }))
    }

    /// Peak memory with a limit of `limit` bytes; the worst of the runs counts.
    pub fn limit_memory(what: &str, limit: u64, ours: &[Run]) -> Self {
        let measured = ours.iter().map(|r| r.peak as f64).fold(f64::NAN, f64::max);
        Self::limited(what, limit as f64, measured, mebibytes, json!({ "unit": "bytes", "pibake": ours }))
    }

    /// A size with a limit, both in bytes.
    pub fn limit_bytes(what: &str, limit: f64, measured: f64) -> Self {
        let megabytes = |value: f64| format!("{:.2} MB", value / 1e6);
        Self::limited(what, limit, measured, megabytes, json!({ "unit": "bytes" }))
    }

    /// What is told and held against nothing.
    pub fn number(what: &str, measured: f64, unit: &str) -> Self {
        let shown = |value: f64| format!("{value:.1}");
        let row =
            Self::limited(&format!("{what}, {unit}"), f64::NAN, measured, shown, json!({ "unit": unit }));
        Self { target: None, ..row }
    }

    fn limited(what: &str, limit: f64, measured: f64, shown: fn(f64) -> String, json: Value) -> Self {
        let none = || String::from("-");
        Self {
            what: what.to_owned(),
            beside: none(),
            ours: shown(measured),
            peer: none(),
            measured,
            target: Some(limit),
            shown,
            json,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            None => "-",
            Some(target) if self.measured <= target => "met",
            Some(_) => "missed",
        }
    }
}

/// All lines.
pub struct Report {
    rounds: usize,
    rows: Vec<Row>,
    skipped: Vec<(String, String)>,
}

impl Report {
    pub fn new(rounds: usize) -> Self {
        Self { rounds, rows: Vec::new(), skipped: Vec::new() }
    }

    /// Takes a line, and says it at once: all of them take a while.
    pub fn row(&mut self, row: Row) {
        eprintln!("   {}: {}", row.what, (row.shown)(row.measured));
        self.rows.push(row);
    }

    /// Says what could not be measured here.
    pub fn skip(&mut self, what: &str, why: &str) {
        let skipped = (what.to_owned(), why.to_owned());
        if !self.skipped.contains(&skipped) {
            eprintln!("   skipped: {what}: {why}");
            self.skipped.push(skipped);
        }
    }

    pub fn json(&self) -> String {
        let row = |r: &Row| {
            let mut value = r.json.clone();
            value["what"] = json!(r.what);
            value["beside"] = json!(r.beside);
            value["measured"] = json!(r.measured);
            value["target"] = json!(r.target);
            value["verdict"] = json!(r.verdict());
            value
        };
        let skipped: Vec<_> =
            self.skipped.iter().map(|(what, why)| json!({ "what": what, "why": why })).collect();
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let all = json!({ "version": env!("CARGO_PKG_VERSION"), "rounds": self.rounds,
            "processors": processors, "rows": rows, "skipped": skipped });
        serde_json::to_string_pretty(&all).expect("JSON")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["WHAT", "PIBAKE", "BESIDE", "TAKES", "MEASURED", "TARGET", ""]);
        for row in &self.rows {
            let target = row.target.map_or_else(|| "-".to_owned(), row.shown);
            table.row([
                row.what.clone(),
                row.ours.clone(),
                row.beside.clone(),
                row.peer.clone(),
                (row.shown)(row.measured),
                target,
                row.verdict().to_owned(),
            ]);
        }
        write!(f, "\n{table}")?;
        for (what, why) in &self.skipped {
            writeln!(f, "skipped: {what}: {why}")?;
        }
        Ok(())
    }
}
