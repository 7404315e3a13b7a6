//! Who this pod is for the lender (L5): its UID, or random bits that live as long as its data dir.

use smartflow_ledger::{Incarnation, PodId};
use std::io::{self, Write};
use std::path::Path;

/// The identity kept in `dir`, made when there is none.
///
/// # Errors
/// The file, and what the operating system said.
pub fn identity(dir: &Path) -> Result<PodId, (String, io::Error)> {
    let path = dir.join("pod");
    let fault = |source| (path.display().to_string(), source);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(text.trim()).ok_or_else(|| fault(io::ErrorKind::InvalidData.into())),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            let pod = PodId(Incarnation::random().0);
            let fresh = dir.join("pod.tmp");
            let mut file = std::fs::File::create(&fresh).map_err(fault)?;
            writeln!(file, "{pod}").and_then(|()| file.sync_all()).map_err(fault)?;
            std::fs::rename(&fresh, &path).map_err(fault)?;
            Ok(pod)
        }
        Err(source) => Err(fault(source)),
    }
}

/// A UID as Kubernetes writes it, with or without dashes.
#[must_use]
pub fn parse(text: &str) -> Option<PodId> {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    (hex.len() == 32).then(|| u128::from_str_radix(&hex, 16).ok().map(PodId))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn l5_an_identity_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = identity(dir.path()).unwrap();
        assert_eq!(identity(dir.path()).unwrap(), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(identity(other.path()).unwrap(), first);
        std::fs::write(dir.path().join("pod"), "half").unwrap();
        assert!(identity(dir.path()).is_err(), "a damaged one is not replaced in silence");
    }

    #[test]
    fn a_uid_is_read_as_kubernetes_writes_it() {
        let uid = parse("5f3c1a52-0f4b-4c36-9b0e-7a1f6f2c9d11").unwrap();
        assert_eq!(uid.to_string(), "5f3c1a520f4b4c369b0e7a1f6f2c9d11");
        assert!(parse("5f3c1a52").is_none() && parse("").is_none());
    }
}
