use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::Machine;

/// The figures of one benchmark, printed as tables and left as JSON.
#[derive(Serialize)]
pub struct Report {
    name: &'static str,
    machine: Machine,
    /// Versions of what it was measured beside.
    peers: BTreeMap<&'static str, String>,
    /// What was asked for: counts, seed, repetitions.
    parameters: Value,
    tables: Vec<Table>,
    targets: Vec<Target>,
}

#[derive(Serialize)]
struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

/// A figure beside what was promised of it.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    pub what: String,
    pub wanted: String,
    pub found: f64,
    pub met: bool,
}

impl Target {
    pub fn at_least(what: impl Into<String>, wanted: f64, found: f64) -> Self {
        Self { what: what.into(), wanted: format!("≥ {wanted}"), found, met: found >= wanted }
    }

    pub fn at_most(what: impl Into<String>, wanted: f64, found: f64) -> Self {
        Self { what: what.into(), wanted: format!("≤ {wanted}"), found, met: found <= wanted }
    }
}

impl Report {
    /// `parameters`: the benchmark's arguments.
    pub fn new(name: &'static str, parameters: impl Serialize) -> Self {
        let parameters = serde_json::to_value(parameters).expect("parameters are JSON");
        Self { name, machine: Machine::this(), peers: BTreeMap::new(), parameters, tables: Vec::new(), targets: Vec::new() }
    }

    pub fn peer(&mut self, name: &'static str, version: impl Into<String>) {
        self.peers.insert(name, version.into());
    }

    /// Adds a table and prints it: the figures of a long run are seen as they come.
    pub fn table(&mut self, title: impl Into<String>, columns: &[&'static str], rows: Vec<Vec<Value>>) {
        let table = Table { title: title.into(), columns: columns.to_vec(), rows };
        print!("{}", table.text());
        self.tables.push(table);
    }

    pub fn target(&mut self, target: Target) {
        self.targets.push(target);
    }

    /// Prints the targets and writes everything to `path`.
    pub fn finish(self, path: &Path) {
        let rows = self.targets.iter().map(|target| {
            let verdict = if target.met { "PASS" } else { "short" };
            vec![target.what.clone().into(), target.wanted.clone().into(), target.found.into(), verdict.into()]
        });
        let targets = Table { title: "Targets".into(), columns: vec!["what", "wanted", "found", ""], rows: rows.collect() };
        if !self.targets.is_empty() {
            print!("{}", targets.text());
        }
        let Machine { cpu, cores, memory_mib, load, commit } = &self.machine;
        let peers = self.peers.iter().fold(String::new(), |text, (name, version)| text + &format!("; {name} {version}"));
        println!("\n{cpu}, {cores} cores, {memory_mib} MiB, load {load}; commit {commit}{peers}");
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder for the report");
        std::fs::write(path, serde_json::to_vec_pretty(&self).expect("a report is JSON")).expect("the report is written");
        println!("{}", path.display());
    }
}

impl Table {
    fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
                cells.chain([self.columns[column].chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&widths).enumerate();
            let padded =
                cells.map(|(column, (cell, width))| if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head = format!("\n{}\n  {}\n", self.title, line(&mut self.columns.iter().copied()));
        rows.iter().fold(head, |text, row| text + &format!("  {}\n", line(&mut row.iter().map(String::as_str))))
    }
}

/// Three significant digits below 1,000, thousands apart above.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            if number.abs() < 1_000.0 {
                let digits = if number.fract() == 0.0 || number.abs() >= 100.0 { 0 } else { 2 };
                return format!("{number:.digits$}");
            }
            let digits = format!("{number:.0}");
            let apart = digits.as_bytes().rchunks(3).rev().map(|three| String::from_utf8_lossy(three));
            apart.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_its_numbers_can_be_read() {
        let rows = vec![vec!["one".into(), 1_234_567.4.into()], vec!["another".into(), 0.123.into()], vec!["none".into(), Value::Null]];
        let text = Table { title: "Rates".into(), columns: vec!["who", "per second"], rows }.text();
        assert_eq!(text, "\nRates\n  who      per second\n  one       1,234,567\n  another        0.12\n  none              -\n");
    }
}
