//! Spend files: `ledger/spend-*.bin` in a pod's data folder. 128 bytes of head, then records of 128 bytes, numbers least
//! byte first. Head: `SFSPEND1`, incarnation (16), pod (16), CRC-32 of these 40. Record: account (16), window's start
//! and end (8 each), CRC-32 of these 32, a mark (4, not zero when in use), granted, spent, returned, overrun, reserved
//! (8 each).

use crate::checksum::crc32;
use crate::evidence::{Spent, Window};
use std::io;
use std::path::Path;

const BLOCK: usize = 128;

/// A spend file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// File or folder.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not what the format says.
    #[error("{path}: damaged at byte {at}")]
    Damaged {
        /// Which.
        path: String,
        /// Where.
        at: usize,
    },
}

/// All records of all spend files in a gateway's data folder.
///
/// # Errors
/// A file cannot be read or is damaged.
pub fn read_all(data: &Path) -> Result<Vec<Spent>, Fault> {
    let folder = data.join("ledger");
    let io = |source| Fault::Io { path: folder.display().to_string(), source };
    let mut records = Vec::new();
    for file in std::fs::read_dir(&folder).map_err(io)? {
        let path = file.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("spend-") && path.extension().is_some_and(|end| end == "bin") {
            records.extend(read(&path)?);
        }
    }
    Ok(records)
}

fn read(path: &Path) -> Result<Vec<Spent>, Fault> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| Fault::Io { path: name(), source })?;
    let mut blocks = bytes.chunks_exact(BLOCK);
    let head = blocks.next().filter(|head| head.starts_with(b"SFSPEND1") && sum_is_right(head, 40));
    let incarnation =
        head.and_then(|head| wide(head, 8)).ok_or_else(|| Fault::Damaged { path: name(), at: 0 })?;
    let mut records = Vec::new();
    for (at, block) in blocks.enumerate() {
        if block.get(36..40) == Some(&[0; 4]) {
            continue;
        }
        let record = sum_is_right(block, 32).then(|| record(block, incarnation)).flatten();
        records.push(record.ok_or_else(|| Fault::Damaged { path: name(), at: (at + 1) * BLOCK })?);
    }
    Ok(records)
}

fn record(block: &[u8], incarnation: u128) -> Option<Spent> {
    Some(Spent {
        account: wide(block, 0)?,
        window: Window { start: number(block, 16)?, end: number(block, 24)? },
        incarnation,
        granted: number(block, 40)?,
        spent: number(block, 48)?,
        returned: number(block, 56)?,
        overrun: number(block, 64)?,
        reserved: number(block, 72)?,
        gone: false,
    })
}

fn sum_is_right(block: &[u8], at: usize) -> bool {
    let sum = block.get(..at).map(|named| crc32(named).to_le_bytes());
    sum.is_some_and(|sum| block.get(at..at + 4) == Some(&sum))
}

fn number(block: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_le_bytes(block.get(at..at + 8)?.try_into().ok()?))
}

fn wide(block: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(block.get(at..at + 16)?.try_into().ok()?))
}
