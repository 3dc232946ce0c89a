//! Plain text tables: the first column to the left, numbers to the right.

use std::fmt;

/// Rows of cells under a heading; printed with columns aligned.
#[derive(Clone, Debug, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no rows.
    pub fn new(heading: &[&str]) -> Self {
        Table { heading: heading.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether a column holds numbers only, marks such as `-` aside.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).peekable();
        cells.peek().is_some() && cells.all(|cell| cell.chars().next().is_none_or(|c| c.is_ascii_digit() || c == '-'))
    }

    fn line(&self, out: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
        let mut text = String::new();
        for (column, width) in widths.iter().enumerate() {
            let cell = cells.get(column).map_or("", String::as_str);
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            if column > 0 {
                text.push_str("  ");
            }
            if self.is_numeric(column) {
                text.push_str(&padding);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&padding);
            }
        }
        writeln!(out, "{}", text.trim_end())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.heading.len())
            .map(|column| {
                std::iter::once(&self.heading)
                    .chain(&self.rows)
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        self.line(out, &self.heading, &widths)?;
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        writeln!(out, "{}", rule.join("  "))?;
        for row in &self.rows {
            self.line(out, row, &widths)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_words_to_the_left() {
        let mut table = Table::new(&["name", "time", "note"]);
        table.row(vec!["a".into(), "0.5".into(), "fine".into()]);
        table.row(vec!["longer".into(), "12.25".into()]);
        let expected = "\
name     time  note
------  -----  ----
a         0.5  fine
longer  12.25
";
        assert_eq!(table.to_string(), expected);
    }
}
