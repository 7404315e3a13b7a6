//! `smartflow-operator`: parse, build, run.

use clap::Parser;
use smartflow_operator::args::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Crds) => smartflow_operator::crds::print(),
        Some(Command::Budget(what)) => smartflow_operator::budget::main(&cli.run, &what),
        None => smartflow_operator::serve::main(&cli.run),
    }
}
