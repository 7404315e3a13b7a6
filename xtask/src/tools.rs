//! Tools that chores need. What cargo can install is kept in `target/tools`; the programs of the test cluster, which take
//! minutes to build, in a cache of the user's.

mod cluster;
mod go;

pub(crate) use cluster::ClusterError;

use crate::process::{self, ProcessError};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// Where cargo-deny is, when it is installed: ours first, then the one on the PATH.
pub(crate) fn cargo_deny(root: &Path) -> Option<PathBuf> {
    let ours = folder(root).join("bin/cargo-deny");
    if ours.is_file() {
        return Some(ours);
    }
    let known = process::quiet(Command::new("cargo-deny").arg("--version"));
    matches!(known, Ok((true, _))).then(|| PathBuf::from("cargo-deny"))
}

/// Installs what is missing. Unoptimised: it builds in a third of the time and runs for a second.
pub(crate) fn install(root: &Path) -> Result<(), ProcessError> {
    if cargo_deny(root).is_some() {
        return Ok(());
    }
    let mut install = process::cargo(root);
    install.args(["install", "--quiet", "--debug", "--locked", "--version", CARGO_DENY, "--root"]);
    install.arg(folder(root)).arg("cargo-deny");
    install.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TARGET_DIR", folder(root).join("build"));
    process::run(&mut install)
}

/// `cargo xtask tools`: the programs of the test cluster, and where they are.
pub(crate) fn run(root: &Path) -> Result<(), ClusterError> {
    if cluster::build(root)? {
        cluster::show()?;
    } else {
        println!("nothing to build: USE_EXISTING_CLUSTER names one that runs");
    }
    Ok(())
}

/// Builds the programs of the test cluster; does nothing when they are there.
pub(crate) fn programs(root: &Path) -> Result<(), ClusterError> {
    cluster::build(root).map(|_| ())
}

/// Installs Redis and the official SDKs for the end-to-end tests; does nothing when they are there.
pub(crate) fn clients(root: &Path) -> Result<(), ProcessError> {
    process::run(Command::new("bash").current_dir(root).arg("e2e/tools.sh"))
}

fn folder(root: &Path) -> PathBuf {
    root.join("target/tools")
}
