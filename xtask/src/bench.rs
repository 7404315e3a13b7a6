//! `cargo xtask bench`: builds what is measured and what measures, and makes the figures of docs/performance.md.

use crate::process::{self, ProcessError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// One short round: to see that everything works, not to quote. The page stays as it is.
    #[arg(long)]
    quick: bool,
    /// Only these figures: cpu, latency, start, keys, compile. The page stays as it is.
    #[arg(long)]
    only: Vec<String>,
    /// Rounds; every one visits all that is compared.
    #[arg(long)]
    rounds: Option<u32>,
    /// Keys of the large world.
    #[arg(long)]
    keys: Option<u32>,
    /// The independent harness, as a folder with its sources or as a program: its parts measure the same, in the same
    /// rounds.
    #[arg(long)]
    gwbench: Option<PathBuf>,
    /// Run what is measured at real-time priority (needs root): for a machine that cannot be had alone.
    #[arg(long)]
    realtime: bool,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A build or the measurement failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The programs are not where cargo puts them.
    #[error("finding the built programs: {0}")]
    Programs(#[from] io::Error),
}

/// Builds and measures.
pub(crate) fn run(args: &Args, root: &Path) -> Result<(), Error> {
    let packages = ["--package", "smartflow-gateway", "--package", "smartflow-bench"];
    process::run(process::cargo(root).args(["build", "--release", "--locked"]).args(packages))?;
    let target = target()?;
    let release = target.join("release");
    let mut bench = Command::new(release.join("smartflow-bench"));
    bench.current_dir(root).arg("figures").arg("--gateway").arg(release.join("smartflow-gateway"));
    bench.arg("--out").arg(target.join("bench")).args(["--page", "docs/performance.md"]);
    for (flag, given) in [("--quick", args.quick), ("--realtime", args.realtime)] {
        bench.args(given.then_some(flag));
    }
    for (flag, number) in [("--rounds", args.rounds), ("--keys", args.keys)] {
        bench.args(number.map(|number| [flag.to_owned(), number.to_string()]).into_iter().flatten());
    }
    bench.args(args.only.iter().flat_map(|name| ["--only", name]));
    if let Some(path) = &args.gwbench {
        bench.arg("--gwbench").arg(harness(path, &target, root)?);
    }
    Ok(process::run(&mut bench)?)
}

/// The independent harness's program; built into our target folder when its sources were given.
fn harness(path: &Path, target: &Path, root: &Path) -> Result<PathBuf, Error> {
    let path = path.canonicalize()?;
    if path.is_file() {
        return Ok(path);
    }
    let built = target.join("gwbench");
    let mut build = process::cargo(root);
    build.args(["build", "--release", "--locked", "--manifest-path"]).arg(path.join("Cargo.toml"));
    process::run(build.arg("--target-dir").arg(&built))?;
    Ok(built.join("release/gwbench"))
}

/// Cargo's target folder: two above this program.
fn target() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).ok_or(io::ErrorKind::NotFound)?;
    Ok(folder.to_owned())
}
