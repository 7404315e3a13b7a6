//! `smartflow-operator crds`: the definitions of the resource kinds, as YAML on standard output.

use std::io::{self, Write};
use std::process::ExitCode;

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub enum CrdsError {
    /// A definition could not be made.
    #[error(transparent)]
    Definition(#[from] smartflow_crds::DefinitionError),
    /// Standard output does not take it.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Prints all definitions.
#[must_use]
pub fn print() -> ExitCode {
    match write(&mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "smartflow-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes all definitions to `out`, one YAML document each.
///
/// # Errors
/// When `out` does not take them.
pub fn write(out: &mut impl Write) -> Result<(), CrdsError> {
    for definition in smartflow_crds::all()? {
        writeln!(out, "---")?;
        out.write_all(smartflow_crds::yaml(&definition)?.as_bytes())?;
    }
    Ok(())
}
