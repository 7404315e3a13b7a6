//! `cargo xtask <chore>`: the one entry for everything that is not `cargo build`. One file per chore.
// Chores talk to a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod check;
mod crds;
mod demo;
mod docs;
mod process;
mod test;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Smartflow's chores")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build and start the gateway, ask it, show budgets and limits at work, then stay up.
    Demo(demo::Args),
    /// Everything: set up what is needed, house rules, all tests. The last line is the sum.
    Test,
    /// Build the programs of the test cluster (etcd, kube-apiserver, kubectl, kube-controller-manager) from their Go modules, once.
    Tools,
    /// Lints and house rules, fast.
    Check,
    /// Measure CPU, latency, memory and start beside a floor; writes docs/performance.md.
    Bench(bench::Args),
    /// Write crds/yaml from the types in crds/src.
    Crds(crds::Args),
    /// Write docs/resources.md from the types in crds/src.
    Docs(docs::Args),
}

/// Runs a chore. True when all is well, false when something that was checked is not.
fn run(chore: Chore) -> Result<bool, Box<dyn Error>> {
    let root = workspace::root();
    match chore {
        Chore::Demo(args) => demo::run(&args, &root)?,
        Chore::Test => return Ok(test::run(&root)?),
        Chore::Tools => tools::run(&root)?,
        Chore::Check => return Ok(check::run()? == 0),
        Chore::Bench(args) => bench::run(&args, &root)?,
        Chore::Crds(args) => crds::run(&args, &root)?,
        Chore::Docs(args) => docs::run(&args, &root)?,
    }
    Ok(true)
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
