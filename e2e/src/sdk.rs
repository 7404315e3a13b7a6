//! Runs the SDK scripts, with the tools that `e2e/tools.sh` installs.

use crate::vendor::Speech;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The language of an official SDK.
#[derive(Clone, Copy, Debug)]
pub enum Sdk {
    /// `openai` and `anthropic` for Python.
    Python,
    /// The same for Node.
    Node,
}

/// Which cases are run.
#[derive(Clone, Copy, Debug, Default)]
pub enum Script {
    /// OpenAI's SDK, to a vendor that speaks OpenAI's format.
    #[default]
    OpenAi,
    /// OpenAI's SDK, to a vendor that speaks Anthropic's.
    Across,
    /// Anthropic's SDK, to a vendor of either format.
    Claude,
}

impl Script {
    fn file(self, sdk: Sdk) -> &'static str {
        match (sdk, self) {
            (Sdk::Python, Self::OpenAi) => "python/cases.py",
            (Sdk::Python, Self::Across) => "python/across_cases.py",
            (Sdk::Python, Self::Claude) => "python/claude_cases.py",
            (Sdk::Node, Self::OpenAi) => "node/cases.mjs",
            (Sdk::Node, Self::Across) => "node/across.mjs",
            (Sdk::Node, Self::Claude) => "node/claude.mjs",
        }
    }
}

/// What a script is told.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `direct`, `gateway` or `simulated`.
    pub path: &'static str,
    /// Which cases.
    pub script: Script,
    /// Whose format the vendor speaks.
    pub speaks: Speech,
    /// Base URL with `/v1`.
    pub base_url: String,
    /// Authority that signed the gateway's certificate, where it speaks TLS.
    pub ca: Option<PathBuf>,
    /// Key that may use the models.
    pub api_key: String,
    /// Where the mock vendor tells what it saw; empty without one.
    pub vendor: String,
    /// Key whose budget is spent; empty without a gateway.
    pub spent_key: String,
    /// Key without a budget; empty without a gateway.
    pub free_key: String,
    /// Chat model.
    pub chat: String,
    /// Embedding model.
    pub embed: String,
}

/// Runs a Python script of `e2e/python` with the official SDKs at hand, and returns what it printed.
///
/// # Panics
/// When the tools cannot be installed, or it failed, with everything that was printed.
#[must_use]
pub fn python(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    install();
    let done = Command::new(here().join(".tools/venv/bin/python"))
        .arg(here().join("python").join(script))
        .args(arguments)
        .envs(variables.iter().copied())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .expect("python starts");
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{script} {arguments:?}:\n{printed}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    printed
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a script to its end and returns what it printed.
///
/// # Panics
/// When the tools cannot be installed, or any case failed, with everything that was printed.
pub fn run(sdk: Sdk, target: &Target) -> String {
    install();
    let program = match sdk {
        Sdk::Python => here().join(".tools/venv/bin/python"),
        Sdk::Node => PathBuf::from("node"),
    };
    let speaks = match target.speaks {
        Speech::OpenAi => "openai",
        Speech::Anthropic => "anthropic",
    };
    let mut command = Command::new(&program);
    if let Some(ca) = &target.ca {
        // As their documentations say: Python's clients look at the first, Node at the second.
        command.env("SSL_CERT_FILE", ca).env("NODE_EXTRA_CA_CERTS", ca);
    }
    let done = command
        .arg(here().join(target.script.file(sdk)))
        .env("SDK_SPEAKS", speaks)
        .env("SDK_PATH", target.path)
        .env("SDK_BASE_URL", &target.base_url)
        .env("SDK_API_KEY", &target.api_key)
        .env("SDK_VENDOR", &target.vendor)
        .env("SDK_SPENT_KEY", &target.spent_key)
        .env("SDK_FREE_KEY", &target.free_key)
        .env("SDK_CHAT", &target.chat)
        .env("SDK_EMBED", &target.embed)
        .env_remove("ANTHROPIC_CUSTOM_HEADERS")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap_or_else(|e| panic!("{} could not be started: {e}", program.display()));
    let printed =
        format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{sdk:?} {:?} against {}:\n{printed}", target.script, target.path);
    assert!(printed.lines().filter(|l| l.starts_with("ok ")).count() >= 8, "too few cases ran:\n{printed}");
    printed
}

/// Installs the SDKs once; two tests at a time wait for each other.
fn install() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let lock = std::fs::File::create(std::env::temp_dir().join("smartflow-e2e-tools.lock"))
            .expect("a lock file");
        lock.lock().expect("the lock");
        let done = Command::new(here().join("tools.sh")).output().expect("e2e/tools.sh starts");
        assert!(done.status.success(), "e2e/tools.sh: {}", String::from_utf8_lossy(&done.stderr));
    });
}
