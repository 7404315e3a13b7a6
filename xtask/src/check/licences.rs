//! What we build upon: licences, banned packages and where they come from (`deny.toml`).

use super::Findings;
use crate::workspace::Workspace;
use crate::{process, tools};
use std::process::Command;

pub(super) fn check(workspace: &Workspace) -> Findings {
    let Some(tool) = tools::cargo_deny(&workspace.root) else {
        println!(
            "skip   licences, bans, sources: cargo-deny is not installed yet, `cargo xtask test` does it"
        );
        return Ok(Vec::new());
    };
    process::run(process::cargo(&workspace.root).args(["fetch", "--quiet", "--locked"]))?;
    let mut deny = Command::new(tool);
    deny.current_dir(&workspace.root);
    deny.args(["--offline", "--color", "never", "-L", "error", "check", "bans", "licenses", "sources"]);
    let (ok, text) = process::quiet(&mut deny)?;
    Ok(if ok { Vec::new() } else { text.lines().map(str::to_owned).collect() })
}
