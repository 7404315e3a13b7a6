//! The cluster that the user's kubeconfig names.

use super::server;
use std::path::Path;
use std::process::Command;

/// Copies its current context, whole, into `to`: tests never write into the user's own file.
pub(super) fn kubeconfig(to: &Path) {
    let view = ["config", "view", "--raw", "--flatten", "--minify"];
    let output = Command::new(server::find("kubectl")).args(view).output().expect("kubectl starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "USE_EXISTING_CLUSTER: the current context cannot be read: {said}");
    std::fs::write(to, output.stdout).expect("a kubeconfig");
}
