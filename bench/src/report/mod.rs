//! Results as a file for programs and a page for people.

pub mod machine;
pub mod series;
mod table;

use crate::figures::{Args, Plan, Results};
use machine::Machine;
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Line of the page before the figures.
const BEGIN: &str = "<!-- figures: begin (written by cargo xtask bench) -->";
/// Line of the page after them.
const END: &str = "<!-- figures: end -->";

/// Why results could not be published.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The page has no place for figures.
    #[error("{path} lacks the lines `{BEGIN}` and `{END}`, in this order")]
    Markers {
        /// Which.
        path: PathBuf,
    },
    /// Results that are not JSON.
    #[error("writing results: {0}")]
    Json(#[from] serde_json::Error),
}

/// Prints the tables, writes `results.json`, and the page after a full run.
///
/// # Errors
/// When a file cannot be written or the page has no place for figures.
pub fn publish(args: &Args, plan: Plan, results: &Results) -> Result<(), Fault> {
    let machine = Machine::look();
    let path = args.out.join("results.json");
    let text = serde_json::to_string_pretty(&json!({"machine": machine, "plan": plan, "results": results}))?;
    fs::write(&path, text).map_err(|source| Fault::File { path: path.clone(), source })?;
    let tables = table::tables(&machine, plan, results);
    let _ = writeln!(io::stdout(), "{tables}\n{}", path.display());
    match &args.page {
        Some(page) if !args.quick && args.only.is_empty() => place(page, &tables),
        _ => Ok(()),
    }
}

fn place(page: &Path, tables: &str) -> Result<(), Fault> {
    let fault = |source| Fault::File { path: page.to_owned(), source };
    let text = fs::read_to_string(page).map_err(fault)?;
    let placed = between(&text, tables).ok_or_else(|| Fault::Markers { path: page.to_owned() })?;
    fs::write(page, placed).map_err(fault)
}

fn between(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", tables.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let page = format!("# Title\n\n{BEGIN}\n\nold\n\n{END}\n\nprose\n");
        let new = between(&page, "new\n");
        assert_eq!(new, Some(format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nprose\n")));
        assert_eq!(between("no markers", "new"), None);
        assert_eq!(between(&format!("{END} {BEGIN}"), "new"), None);
    }
}
