//! The journal of the lender that a standalone gateway keeps in its data folder: `ledger/ledger.journal`. A line is the
//! CRC-32 of the rest as eight hexadecimal digits, a space, and JSON.

use crate::checksum::crc32;
use crate::evidence::{Entry, History, Row, Window};
use serde::Deserialize;
use std::io;
use std::path::Path;

/// The journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A line that is not what the format says, with whole ones after it.
    #[error("{path}: line {line} is damaged")]
    Damaged {
        /// Which file.
        path: String,
        /// Which line, from 1.
        line: usize,
    },
}

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Record {
    Limit { account: u128, limit: i64 },
    Purged {},
    Row { account: u128, window: Window, row: Told },
    Folded { account: u128, window: Window, folded: Folded },
}

#[derive(Deserialize)]
struct Told {
    incarnation: u128,
    totals: Totals,
    closed: Option<i64>,
    written_off: i64,
}

#[derive(Deserialize)]
struct Totals {
    granted: i64,
    spent: i64,
    returned: i64,
    overrun: i64,
}

#[derive(Deserialize)]
struct Folded {
    spent: i64,
    forfeited: i64,
    overrun: i64,
    lost: i64,
}

impl Record {
    fn entry(self) -> Option<Entry> {
        Some(match self {
            Self::Limit { account, limit } => Entry::Limit { account, limit },
            Self::Purged {} => return None,
            Self::Row { account, window, row } => Entry::Row(Row {
                account,
                window,
                incarnation: row.incarnation,
                granted: row.totals.granted,
                spent: row.totals.spent,
                returned: row.totals.returned,
                overrun: row.totals.overrun,
                closed: row.closed.is_some(),
                written_off: row.written_off,
            }),
            Self::Folded { account, window, folded } => Entry::Sum {
                account,
                window,
                spent: folded.spent,
                forfeited: folded.forfeited + folded.lost,
                overrun: folded.overrun,
            },
        })
    }
}

/// Reads the journal in a gateway's data folder. The last line may be half written: its writer was killed.
///
/// # Errors
/// The file cannot be read, or is damaged before its end.
pub fn read(data: &Path) -> Result<History, Fault> {
    let path = data.join("ledger/ledger.journal");
    let name = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(|source| Fault::Io { path: name.clone(), source })?;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut history = History::default();
    for (at, line) in lines.iter().enumerate() {
        match frame(line) {
            Some(frame) => history.frames.push(frame.records.into_iter().filter_map(Record::entry).collect()),
            None if at + 1 == lines.len() => {}
            None => return Err(Fault::Damaged { path: name, line: at + 1 }),
        }
    }
    Ok(history)
}

fn frame(line: &[u8]) -> Option<Frame> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, body) = text.split_once(' ')?;
    let fits = u32::from_str_radix(sum, 16).ok()? == crc32(body.as_bytes());
    fits.then(|| serde_json::from_str(body).ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn journal(lines: &[&str], tail: &str) -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("ledger")).unwrap();
        let line = |body: &&str| format!("{:08x} {body}\n", crc32(body.as_bytes()));
        let text: String = lines.iter().map(line).collect();
        std::fs::write(data.path().join("ledger/ledger.journal"), text + tail).unwrap();
        data
    }

    const LIMIT: &str = r#"{"wall":1,"records":[{"limit":{"account":263840672314520694204080456466413860908,"limit":7,"revision":{"epoch":1,"number":1}}}]}"#;
    const ROW: &str = r#"{"wall":2,"records":[{"row":{"account":9,"window":{"start":0,"end":9223372036854775807},"row":{"incarnation":5,"pod":0,"totals":{"granted":4,"spent":3,"returned":2,"overrun":1},"number":3,"closed":8,"written_off":6}}}]}"#;

    #[test]
    fn lines_are_read_and_half_a_line_at_the_end_is_not() {
        let data = journal(&[LIMIT, ROW], "0badc0de {\"wa");
        let frames = read(data.path()).unwrap().frames;
        let window = Window { start: 0, end: i64::MAX };
        let totals = Row {
            account: 9,
            window,
            incarnation: 5,
            granted: 4,
            spent: 3,
            returned: 2,
            overrun: 1,
            closed: true,
            written_off: 6,
        };
        let limit = Entry::Limit { account: 263_840_672_314_520_694_204_080_456_466_413_860_908, limit: 7 };
        assert_eq!(frames, [vec![limit], vec![Entry::Row(totals)]]);
    }

    #[test]
    fn damage_in_the_middle_is_told() {
        let data = journal(&[LIMIT, ROW], "");
        let path = data.path().join("ledger/ledger.journal");
        let text = std::fs::read_to_string(&path).unwrap().replacen("\"limit\":7", "\"limit\":8", 1);
        std::fs::write(&path, text).unwrap();
        assert!(matches!(read(data.path()), Err(Fault::Damaged { line: 1, .. })));
    }
}
