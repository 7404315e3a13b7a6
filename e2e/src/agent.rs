//! A coding agent that speaks Anthropic's format, headless, in a home of its own, with no way out but to the gateway.

use base64::Engine as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds that a task may take.
const LIMIT: &str = "60";

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("agent")
}

/// The agent's program, installed once; else why it cannot be had here.
///
/// # Errors
/// What the package client said, or what the program did.
pub fn install() -> Result<PathBuf, String> {
    let lock = std::fs::File::create(std::env::temp_dir().join("smartflow-e2e-agent.lock"));
    lock.and_then(|l| l.lock().map(|()| l)).map_err(|e| format!("no lock: {e}"))?;
    let program = here().join("node_modules/.bin/claude");
    if !program.exists() {
        let npm = Command::new("npm").args(["ci", "--silent"]).current_dir(here()).output();
        let npm = npm.map_err(|e| format!("npm did not start: {e}"))?;
        if !npm.status.success() {
            return Err(format!("npm ci: {}", String::from_utf8_lossy(&npm.stderr)));
        }
    }
    let asked = Command::new(&program).arg("--version").env_clear().envs(path()).output();
    match asked {
        Ok(told) if told.status.success() => Ok(program),
        Ok(told) => Err(format!("it does not run here: {}", String::from_utf8_lossy(&told.stderr))),
        Err(e) => Err(format!("it did not start: {e}")),
    }
}

#[expect(clippy::disallowed_methods, reason = "where programs are, for one that is otherwise told nothing")]
fn path() -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os("PATH").map(|p| ("PATH", p))
}

/// Has it write a note, by one call of a tool, and asserts that the note is there. Returns what it printed as its result.
///
/// # Panics
/// When it does not start, fails, takes longer than a minute, or wrote something else.
#[must_use]
pub fn take_a_note(program: &Path, base_url: &str, key: &str, model: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let note = folder.path().join("note.txt");
    let input = serde_json::json!({"file_path": note, "content": "written by the agent\n"}).to_string();
    let input = base64::engine::general_purpose::STANDARD.encode(input);
    let prompt = format!("Write the note. [[use=Write:{input} tokens=9]]");
    let told = run(program, base_url, key, model, &prompt, folder.path());
    let written = std::fs::read_to_string(&note).unwrap_or_else(|e| panic!("no note: {e}; {told}"));
    assert_eq!(written, "written by the agent\n", "{told}");
    told
}

fn run(
    program: &Path,
    base_url: &str,
    key: &str,
    model: &str,
    prompt: &str,
    folder: &Path,
) -> serde_json::Value {
    let home = tempfile::tempdir().expect("a home");
    let done = Command::new("timeout")
        .args(["--kill-after", "5", LIMIT])
        .arg(program)
        .args(["-p", prompt, "--output-format", "json", "--permission-mode", "acceptEdits"])
        .args(["--max-turns", "6", "--model", model])
        .current_dir(folder)
        .env_clear()
        .envs(path())
        .env("HOME", home.path())
        .env("ANTHROPIC_BASE_URL", base_url)
        .env("ANTHROPIC_API_KEY", key)
        .env("ANTHROPIC_SMALL_FAST_MODEL", model)
        .env("ANTHROPIC_DEFAULT_HAIKU_MODEL", model)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("CLAUDE_CODE_MAX_OUTPUT_TOKENS", "8000")
        .env("DISABLE_AUTOUPDATER", "1")
        // Whatever else it would like to reach is not there.
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .expect("the agent starts");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "the agent ended with {:?}:\n{out}\n{err}", done.status);
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{err}"))
}
