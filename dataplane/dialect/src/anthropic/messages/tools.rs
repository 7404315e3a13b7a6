//! Tools: the caller's, the vendor's that the caller runs, and those that the vendor runs.

use super::scan::Scan;
use crate::Feature;
use crate::json::{Cursor, Kind};
use crate::openai::BadRequest;
use crate::openai::field::{cache_control, wrong};

/// Tools that Anthropic defines and the caller runs: their cost is a few tokens more in the prompt.
const CALLER_RUNS: [&str; 5] = ["bash_", "text_editor_", "memory_", "computer_", "browser_"];

/// Bytes of the tools; counts them and finds those that the vendor runs itself.
pub(super) fn tools(scan: &mut Scan, cursor: &mut Cursor<'_>, kind: Kind) -> Result<u64, BadRequest> {
    if kind != Kind::Array {
        return Err(wrong("tools", "an array", kind));
    }
    let start = cursor.at();
    cursor.enter()?;
    let mut first = true;
    while cursor.element(&mut first)? {
        let kind = cursor.peek()?;
        if kind != Kind::Object {
            return Err(wrong(format!("tools[{}]", scan.counts.tools), "an object", kind));
        }
        scan.counts.tools += 1;
        tool(scan, cursor)?;
    }
    Ok((cursor.at() - start) as u64)
}

fn tool(scan: &mut Scan, cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let kind = cursor.peek()?;
        match key.text.get(cursor.bytes()).as_ref() {
            "type" if kind == Kind::String => {
                let name = cursor.string()?.text.get(cursor.bytes());
                tool_type(scan, &name);
            }
            "cache_control" => cache_control(&mut scan.features, cursor)?,
            _ => {
                cursor.skip()?;
            }
        }
    }
    Ok(())
}

fn tool_type(scan: &mut Scan, name: &str) {
    if name == "custom" {
        return;
    }
    if CALLER_RUNS.iter().any(|known| name.starts_with(known)) {
        scan.vendor_tools += 1;
        scan.toolsets += u32::from(name.contains("toolset"));
    } else if name.starts_with("web_search") {
        scan.features.insert(Feature::WebSearch);
    } else {
        scan.features.insert(Feature::HostedTool);
    }
}
