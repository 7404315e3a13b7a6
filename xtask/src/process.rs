//! Programs that a chore runs: started in the workspace root, their failure turned into an error that names them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// It could not be started.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// Program and arguments.
        program: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It ended with a status other than 0.
    #[error("`{program}` ended with {status}")]
    Status {
        /// Program and arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// What it printed is not what was expected of it.
    #[error("`{program}` printed something unexpected: {reason}")]
    Output {
        /// Program and arguments.
        program: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// `cargo` as it was called, in `root`.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.current_dir(root);
    command
}

/// Runs it with its output shown.
pub(crate) fn run(command: &mut Command) -> Result<(), ProcessError> {
    let status = command.status().map_err(|source| ProcessError::Start { program: line(command), source })?;
    finished(command, status)
}

/// Runs it and returns what it printed; its errors are shown.
pub(crate) fn capture(command: &mut Command) -> Result<String, ProcessError> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| ProcessError::Start { program: line(command), source })?;
    finished(command, output.status)?;
    String::from_utf8(output.stdout)
        .map_err(|fault| ProcessError::Output { program: line(command), reason: fault.to_string() })
}

/// Runs it and returns both outputs as one text, together with whether it succeeded.
pub(crate) fn quiet(command: &mut Command) -> Result<(bool, String), ProcessError> {
    let output = command.output().map_err(|source| ProcessError::Start { program: line(command), source })?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

/// Runs it, shows what it prints and hands each line of its standard output to `see`. True when it succeeded.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool, ProcessError> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| ProcessError::Start { program: line(command), source })?;
    if let Some(output) = child.stdout.take() {
        for text in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{text}");
            see(&text);
        }
    }
    let status = child.wait().map_err(|source| ProcessError::Start { program: line(command), source })?;
    Ok(status.success())
}

fn finished(command: &Command, status: ExitStatus) -> Result<(), ProcessError> {
    if status.success() { Ok(()) } else { Err(ProcessError::Status { program: line(command), status }) }
}

fn line(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
