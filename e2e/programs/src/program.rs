//! What is built: programs, each from a Go module of its own folder here.

/// The Go release that everything is built with. Kubernetes 1.36 names Go 1.26: built with 1.27 its API server
/// published a broken OpenAPI document, and `kubectl explain` failed.
pub const GO: &str = "1.26.8";

/// A Go module that only says which published modules are built, in which versions. Two, because the dependencies of
/// etcd and Kubernetes do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// Its name in the key: `kubernetes`.
    pub name: &'static str,
    /// Text of its `go.mod`.
    pub manifest: &'static str,
    /// Text of its `go.sum`.
    pub sums: &'static str,
    /// The published module whose version counts.
    source: &'static str,
}

/// A program of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its file's name: `kube-apiserver`.
    pub name: &'static str,
    /// The Go package that it is built from.
    pub package: &'static str,
    /// The module that it belongs to.
    pub module: &'static Module,
}

const KUBERNETES: Module = Module {
    name: "kubernetes",
    manifest: include_str!("../modules/kubernetes/go.mod"),
    sums: include_str!("../modules/kubernetes/go.sum"),
    source: "k8s.io/kubernetes",
};
const ETCD: Module = Module {
    name: "etcd",
    manifest: include_str!("../modules/etcd/go.mod"),
    sums: include_str!("../modules/etcd/go.sum"),
    source: "go.etcd.io/etcd/server/v3",
};

/// Everything that is built, the quick one first.
pub const ALL: [Program; 4] = [
    Program { name: "etcd", package: "go.etcd.io/etcd/server/v3", module: &ETCD },
    Program { name: "kube-apiserver", package: "k8s.io/kubernetes/cmd/kube-apiserver", module: &KUBERNETES },
    Program { name: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl", module: &KUBERNETES },
    Program {
        name: "kube-controller-manager",
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        module: &KUBERNETES,
    },
];

impl Module {
    /// Version of the published module, without its `v`: `1.36.3`. Empty when `go.mod` does not require it, which a
    /// test rules out.
    #[must_use]
    pub fn version(&self) -> &'static str {
        let words = |line: &'static str| line.split_whitespace().collect::<Vec<_>>();
        let required = self.manifest.lines().map(words).find_map(|line| match line[..] {
            ["require", name, version] | [name, version, ..] if name == self.source => Some(version),
            _ => None,
        });
        required.unwrap_or_default().trim_start_matches('v')
    }
}

/// Name of the folder that holds this set of programs: `kubernetes-1.36.3-etcd-3.6.8`.
#[must_use]
pub fn key() -> String {
    [KUBERNETES, ETCD].map(|module| format!("{}-{}", module.name, module.version())).join("-")
}

#[cfg(test)]
mod tests {
    use super::{ALL, ETCD, KUBERNETES, Module, key};

    fn is_version(text: &str) -> bool {
        text.split('.').filter(|part| part.parse::<u16>().is_ok()).count() == 3
    }

    #[test]
    fn every_program_has_a_version_and_is_a_tool_of_its_module() {
        for program in ALL {
            assert!(is_version(program.module.version()), "{program:?}");
            assert!(program.module.manifest.contains(program.package), "{}", program.name);
        }
        assert_eq!(key(), format!("kubernetes-{}-etcd-{}", KUBERNETES.version(), ETCD.version()));
    }

    #[test]
    fn staging_modules_have_the_version_of_kubernetes() {
        let staging = format!("v{}", KUBERNETES.version().replacen('1', "0", 1));
        let replaced: Vec<_> =
            KUBERNETES.manifest.lines().filter_map(|line| line.split_once(" => ")).collect();
        assert!(replaced.len() > 30, "{replaced:?}");
        for (from, to) in replaced {
            assert_eq!(to, format!("{} {staging}", from.trim()));
        }
    }

    #[test]
    fn a_version_is_read_from_either_form_of_require() {
        let module = |manifest| Module { name: "x", manifest, sums: "", source: "a.b/c" };
        assert_eq!(module("require a.b/c v1.2.3\n").version(), "1.2.3");
        assert_eq!(module("require (\n\ta.b/c v1.2.4 // indirect\n)\n").version(), "1.2.4");
        assert_eq!(module("replace a.b/c => d v1.2.5\n").version(), "");
    }
}
