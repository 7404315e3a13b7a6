//! `smartflow-operator`: parse, build, run.

use clap::Parser;
use smartflow_operator::args::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Crds) => smartflow_operator::crds::print(),
        None => smartflow_operator::serve::main(&cli.run),
    }
}
