//! The compiler's own rules: rustfmt and clippy.

use super::Findings;
use crate::process;
use crate::workspace::Workspace;

pub(super) fn format(workspace: &Workspace) -> Findings {
    let (ok, text) =
        process::quiet(process::cargo(&workspace.root).args(["fmt", "--all", "--", "--check", "-l"]))?;
    Ok(if ok { Vec::new() } else { text.lines().map(|line| format!("run `cargo fmt`: {line}")).collect() })
}

pub(super) fn clippy(workspace: &Workspace) -> Findings {
    let mut command = process::cargo(&workspace.root);
    command.args([
        "clippy",
        "--quiet",
        "--locked",
        "--keep-going",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    let (ok, text) = process::quiet(&mut command)?;
    Ok(if ok { Vec::new() } else { text.lines().map(str::to_owned).collect() })
}
