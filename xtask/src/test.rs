//! `cargo xtask test`: everything. Sets up what it needs, checks the house rules, builds, tests; the last line is the sum.

mod tally;

use crate::process::{self, ProcessError};
use crate::tools::ClusterError;
use crate::{check, tools};
use std::path::Path;
use std::time::Instant;
use tally::Tally;

/// Why the tests could not be run at all.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum TestError {
    /// A program did not do its work.
    Process(#[from] ProcessError),
    /// The programs of the test cluster are not there.
    Cluster(#[from] ClusterError),
}

/// Runs everything and returns true when nothing failed. The last line printed is `N passed, N failed`.
pub(crate) fn run(root: &Path) -> Result<bool, TestError> {
    let start = Instant::now();
    let mut tally = Tally::default();

    step("tools", start);
    tools::install(root)?;
    step("programs of the test cluster", start);
    tools::programs(root)?;
    step("official SDKs for e2e", start);
    tools::clients(root)?;

    step("house rules", start);
    let broken = check::run()?;

    // Built apart, so that a test that starts the gateway never waits for a compiler.
    step("build", start);
    process::run(process::cargo(root).args(["build", "--locked", "--workspace", "--all-targets"]))?;

    step("tests", start);
    let mut tests = process::cargo(root);
    tests.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    let mut ended_well = process::watch(&mut tests, |line| tally.see(line))?;

    // By themselves: beside them nothing with a deadline should run.
    step("edited inputs, a minute for each decoder", start);
    let mut fuzz = process::cargo(root);
    fuzz.args(["test", "--locked", "--package", "smartflow-dialect", "--test", "garbled", "--", "--ignored"]);
    ended_well &= process::watch(&mut fuzz, |line| tally.see(line))?;

    step("done", start);
    for failure in tally.failures() {
        println!("failed: {failure}");
    }
    if broken > 0 {
        println!("failed: {broken} house rules, see `cargo xtask check`");
    }
    // A test binary that dies prints no result: it must not pass for want of a line.
    let died = usize::from(!ended_well && tally.failed == 0);
    if died > 0 {
        println!("failed: a test program ended without a result");
    }
    let failed = tally.failed + broken + died;
    println!("{} passed, {failed} failed", tally.passed);
    Ok(failed == 0)
}

fn step(name: &str, start: Instant) {
    println!("== {name} ({:.0} s)", start.elapsed().as_secs_f32());
}
