//! What a command prints: lines, JSON lines, tables.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

pub(crate) struct Output<'a> {
    to: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    pub(crate) fn new(to: &'a mut dyn Write) -> Self {
        Self { to }
    }

    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.to, "{line}")
    }

    /// One JSON value on one line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        writeln!(self.to, "{}", serde_json::to_string(value)?)
    }

    /// Columns as wide as their widest cell; the last one is not padded.
    pub(crate) fn table<const N: usize>(&mut self, header: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
        let mut widths = header.map(|name| name.chars().count());
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let header = header.map(str::to_owned);
        for row in std::iter::once(&header).chain(rows) {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(self.to, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut text = Vec::new();
        let rows = [["a".to_owned(), "1".to_owned()], ["longer".to_owned(), "2".to_owned()]];
        Output::new(&mut text).table(["NAME", "N"], &rows).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "NAME    N\na       1\nlonger  2\n");
    }
}
