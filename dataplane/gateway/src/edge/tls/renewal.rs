//! Following the certificate's files. Whoever renews a certificate writes two files; a pair that does not fit is given a
//! moment before it is told, and the old one serves until there is a good one.

use super::pair::{self, Pair, PairError};
use crate::source::watch::{Interest, Stop, Watch, Woken};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Without an event the files are looked at this often all the same: a link may lead to a folder that is not watched.
const LOOK: Duration = Duration::from_secs(30);
/// Between the two files of a renewal, at most.
const SETTLES: Duration = Duration::from_millis(500);

/// What both files said.
type Stamp = [u8; 32];

/// The files of a certificate, watched.
pub struct Renewal {
    certificate: PathBuf,
    key: PathBuf,
    watch: Watch,
    /// What was told last.
    told: Stamp,
}

impl Renewal {
    /// Watches the two files, and reads them.
    ///
    /// # Errors
    /// When they are no pair.
    pub fn open(certificate: &Path, key: &Path) -> Result<(Self, Pair), PairError> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut renewal = Self {
            certificate: absolute(certificate),
            key: absolute(key),
            watch: Watch::new(),
            told: Stamp::default(),
        };
        // First, so that no change is missed between reading and watching.
        renewal.follow();
        let (stamp, pair) = renewal.look();
        renewal.told = stamp;
        Ok((renewal, pair?))
    }

    /// Ends the wait for changes when it is dropped.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.watch.stop()
    }

    /// Waits for other files. The same fault is told once. `None` once it was stopped.
    pub fn next_change(&mut self) -> Option<Result<Pair, PairError>> {
        loop {
            if self.watch.wait(LOOK) == Woken::Stopped {
                return None;
            }
            self.follow();
            let (mut stamp, mut looked) = self.look();
            let began = Instant::now();
            while looked.is_err()
                && stamp != self.told
                && let Some(left) = SETTLES.checked_sub(began.elapsed())
            {
                if self.watch.wait(left) == Woken::Stopped {
                    return None;
                }
                self.follow();
                (stamp, looked) = self.look();
            }
            if stamp != self.told {
                self.told = stamp;
                return Some(looked);
            }
        }
    }

    fn look(&self) -> (Stamp, Result<Pair, PairError>) {
        let mut hash = Sha256::new();
        let looked = pair::read(&self.certificate, &self.key);
        match &looked {
            Ok(texts) => {
                hash.update(Sha256::digest(&texts.certificate));
                hash.update(Sha256::digest(texts.key.as_bytes()));
            }
            Err(error) => hash.update(error.to_string()),
        }
        let pair = looked.and_then(|texts| pair::parse(&texts, &self.certificate, &self.key));
        (hash.finalize().into(), pair)
    }

    fn follow(&mut self) {
        let mut wanted: BTreeMap<PathBuf, Interest> = BTreeMap::new();
        for path in [&self.certificate, &self.key] {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let of = Interest::Only([name.to_owned()].into());
            let both = match wanted.remove(folder) {
                Some(other) => other.and(of),
                None => of,
            };
            wanted.insert(folder.to_owned(), both);
        }
        self.watch.follow(wanted);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Writes a fresh pair as `tls.crt` and `tls.key`, and returns its certificate.
    fn write(folder: &Path) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        for (name, text) in [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())] {
            fs::write(folder.join(".new"), text).unwrap();
            fs::rename(folder.join(".new"), folder.join(name)).unwrap();
        }
        certificate.der().to_vec()
    }

    fn open(folder: &Path) -> (Renewal, Vec<u8>) {
        let (renewal, pair) = Renewal::open(&folder.join("tls.crt"), &folder.join("tls.key")).unwrap();
        (renewal, der(&pair))
    }

    fn der(pair: &Pair) -> Vec<u8> {
        pair.key.cert[0].to_vec()
    }

    fn next(renewal: &mut Renewal) -> Result<Vec<u8>, String> {
        let start = Instant::now();
        let told = renewal.next_change().unwrap();
        assert!(start.elapsed() < LOOK, "seen by looking only");
        told.map(|pair| der(&pair)).map_err(|e| e.to_string())
    }

    #[test]
    fn renamed_files_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let first = write(dir.path());
        let (mut renewal, serves) = open(dir.path());
        assert_eq!(serves, first);
        let second = write(dir.path());
        assert_eq!(next(&mut renewal).unwrap(), second);
    }

    #[test]
    fn a_secret_that_is_swapped_behind_its_links_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("..v1")).unwrap();
        fs::create_dir(path("..v2")).unwrap();
        let (first, second) = (write(&path("..v1")), write(&path("..v2")));
        symlink("..v1", path("..data")).unwrap();
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), path(name)).unwrap();
        }
        let (mut renewal, serves) = open(dir.path());
        assert_eq!(serves, first);
        symlink("..v2", path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        assert_eq!(next(&mut renewal).unwrap(), second);
    }

    #[test]
    fn a_broken_pair_is_told_once_and_the_next_good_one_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        let (mut renewal, _) = open(dir.path());
        fs::write(dir.path().join("tls.key"), "no key").unwrap();
        assert!(next(&mut renewal).unwrap_err().contains("tls.key holds no private key"));
        fs::write(dir.path().join("tls.key"), "no key").unwrap();
        fs::remove_file(dir.path().join("tls.key")).unwrap();
        assert!(next(&mut renewal).unwrap_err().contains("cannot read"), "the same fault again is not told");
        let good = write(dir.path());
        assert_eq!(next(&mut renewal).unwrap(), good);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the pause between the two files is what is tried")]
    fn two_files_that_are_written_one_after_the_other_are_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        write(dir.path());
        let (mut renewal, _) = open(dir.path());
        let second = write(other.path());
        let copy = |name: &str| fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
        copy("tls.crt");
        let told = std::thread::scope(|scope| {
            let waits = scope.spawn(|| next(&mut renewal));
            std::thread::sleep(SETTLES / 2);
            copy("tls.key");
            waits.join().unwrap()
        });
        assert_eq!(told.unwrap(), second);
    }

    #[test]
    fn stopping_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        let (mut renewal, _) = open(dir.path());
        drop(renewal.stop());
        assert!(renewal.next_change().is_none());
    }
}
