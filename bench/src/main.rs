//! `smartflow-bench`: the parts of the benchmark as commands.

use clap::{Parser, Subcommand};
use smartflow_bench::{figures, floor, load, mock};
use std::error::Error;
use std::future::Future;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "Measures the gateway beside a floor")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A vendor that answers at almost no cost
    Mock(mock::Args),
    /// Asks a target and prints what it saw as JSON
    Load(load::Args),
    /// The least that a gateway must do
    Floor(floor::Args),
    /// Measures the gateway beside the floor and writes the figures
    Figures(figures::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Mock(args) => alone(async { Ok(mock::serve(args).await?) }),
        Command::Load(args) => {
            alone(async { Ok(writeln!(stdout(), "{}", serde_json::to_string(&load::run(&args).await?)?)?) })
        }
        Command::Figures(args) => figures::run(&args).map_err(Into::into),
        Command::Floor(args) => alone(async { Ok(floor::serve(args).await?) }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = writeln!(stderr(), "smartflow-bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a future on this thread only.
fn alone(work: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
