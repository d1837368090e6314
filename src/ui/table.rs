//! Tables for people.

use comfy_table::{ContentArrangement, presets};

use super::visible_line;

/// A table with a header, printed without frames so that it can be cut and grepped.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with these column heads and no rows yet.
    #[must_use]
    pub fn new<'a>(head: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(head.into_iter().collect::<Vec<_>>());
        Self(table)
    }

    /// Adds a row. What a terminal would obey in a cell is shown instead: much of it comes off cards.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().map(|cell| visible_line(&cell).into_owned()));
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.0.to_string().lines() {
            // each cell is padded by one column on either side
            writeln!(f, "{}", line.strip_prefix(' ').unwrap_or(line).trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_frames() {
        let mut table = Table::new(["NODE", "ROLE"]);
        table.row(["node-1".into(), "control-plane".into()]);
        table.row(["node-20".into(), "worker".into()]);
        assert_eq!(table.to_string(), "NODE     ROLE\nnode-1   control-plane\nnode-20  worker\n");
    }
}
