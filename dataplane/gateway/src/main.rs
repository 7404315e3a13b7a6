//! `smartflow-gateway`: parse, build, run.

use clap::Parser;
use smartflow_gateway::args::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Check(check)) => smartflow_gateway::check::run(&check),
        Some(Command::Catalog) => smartflow_gateway::catalog::run(),
        None => smartflow_gateway::serve::run(cli.serve),
    }
}
