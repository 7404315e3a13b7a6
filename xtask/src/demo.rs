//! `cargo xtask demo`: a governed gateway on this machine, asked real questions, with no account anywhere.

mod blame;
mod gateway;
mod guard;
mod http;
mod lock;
mod story;

use crate::process::{self, ProcessError};
use gateway::{Gateway, GatewayError};
use http::HttpError;
use std::path::Path;
use std::time::Instant;

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Stop when everything was shown, instead of staying up.
    #[arg(long)]
    once: bool,
}

/// Why the demo could not be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The build failed.
    #[error(transparent)]
    Build(#[from] ProcessError),
    /// The gateway did not start or did not stop.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] HttpError),
    /// A call was answered, but not as it should be.
    #[error("{what}: expected {expected}, got {got}")]
    Unexpected {
        /// Which call.
        what: &'static str,
        /// What should have come.
        expected: String,
        /// What came.
        got: String,
    },
}

/// Builds, starts, asks, shows; then stays up, or ends with `--once`.
pub(crate) fn run(args: &Args, root: &Path) -> Result<(), Error> {
    println!("Building the gateway (the first time takes a few minutes) ...");
    let start = Instant::now();
    process::run(process::cargo(root).args(["build", "--locked", "--package", "smartflow-gateway"]))?;
    println!("Built in {:.0} s.\n", start.elapsed().as_secs_f32());

    let mut gateway = Gateway::start(root)?;
    let told = story::tell(&mut gateway);
    if let Err(fault) = told {
        println!();
        blame::lines(&gateway).iter().for_each(|line| println!("{line}"));
        gateway.stop()?;
        return Err(fault);
    }
    if args.once {
        gateway.stop()?;
        println!("\nStopped.");
        return Ok(());
    }
    story::invite(&gateway);
    gateway.wait()?;
    Ok(())
}
