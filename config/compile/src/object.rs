//! Objects as they come in: read, checked by themselves, nothing looked up.

use crate::finding::{Finding, Reason};
use crate::kind::chain::ChainDraft;
use crate::kind::policy::PolicyDraft;
use crate::kind::provider::ProviderDraft;
use crate::kind::secret::{SecretData, SecretValue};
use crate::kind::virtual_key::{KeyDraft, KeySalvage, TokenSource};
use crate::kind::{chain, namespace, policy, provider, virtual_key};
use crate::manifest::Manifest;
use crate::path;
use crate::schema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use smartflow_snapshot::{Effect, ObjectName, TokenHash};
use std::fmt;
use std::sync::Arc;

/// Kinds that are known here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Kind {
    /// `smartflow.dev/v1alpha1`.
    LLMProvider,
    /// `smartflow.dev/v1alpha1`.
    FallbackChain,
    /// `smartflow.dev/v1alpha1`.
    VirtualKey,
    /// `smartflow.dev/v1alpha1`.
    Policy,
    /// `v1`.
    Secret,
    /// `v1`.
    Namespace,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::LLMProvider,
        Self::FallbackChain,
        Self::VirtualKey,
        Self::Policy,
        Self::Secret,
        Self::Namespace,
    ];

    /// As manifests write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LLMProvider => "LLMProvider",
            Self::FallbackChain => "FallbackChain",
            Self::VirtualKey => "VirtualKey",
            Self::Policy => "Policy",
            Self::Secret => "Secret",
            Self::Namespace => "Namespace",
        }
    }

    /// `apiVersion` of its manifests.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::LLMProvider | Self::FallbackChain | Self::VirtualKey | Self::Policy => {
                "smartflow.dev/v1alpha1"
            }
            Self::Secret | Self::Namespace => "v1",
        }
    }
}

/// Which object. The namespace of a Namespace is empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub name: ObjectName,
}

impl fmt::Display for ObjectRef {
    /// `Kind namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &*self.name.namespace) {
            (kind, "") => write!(f, "{} {}", kind.as_str(), self.name.name),
            (kind, _) => write!(f, "{} {}", kind.as_str(), self.name),
        }
    }
}

impl Serialize for ObjectRef {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// One object, checked by itself.
#[derive(Clone, Debug)]
pub struct Object {
    pub(crate) id: ObjectRef,
    pub(crate) findings: Vec<Finding>,
    pub(crate) body: Body,
    /// What is in force comes from a spec that was kept.
    pub(crate) last_good: bool,
    /// The spec that is in force, as JSON: today's when it is valid, else the one that was kept.
    pub(crate) spec: Option<Box<str>>,
    /// When it was created, Unix seconds; 0 = not known.
    pub(crate) created: i64,
}

/// What an object says.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Provider(Option<Arc<ProviderDraft>>),
    Chain(Option<Arc<ChainDraft>>),
    Key {
        draft: Option<Box<KeyDraft>>,
        salvage: KeySalvage,
        generated: Option<TokenHash>,
    },
    /// `Closed` when nothing better could be had.
    Policy(Arc<PolicyDraft>),
    Secret(SecretData),
    Namespace(namespace::Labels),
}

impl Object {
    /// Reads a manifest: what an API server checks (unknown fields, defaults, structure, CEL), then every value by
    /// itself. Faults end up in [`Object::findings`].
    ///
    /// # Errors
    /// When it cannot be told which object it is.
    pub fn read(manifest: Value) -> Result<Self, Finding> {
        let (manifest, findings) = Manifest::read(manifest)?;
        Ok(Self::of(manifest, findings))
    }

    pub(crate) fn of(manifest: Manifest, mut findings: Vec<Finding>) -> Self {
        let Manifest { id, mut value } = manifest;
        let spec = value.get_mut("spec").map(Value::take).filter(|s| !s.is_null());
        let mut spec = spec.unwrap_or_else(|| Value::Object(Map::new()));
        let name = &id.name;
        let mut last_good = None;
        let body = match id.kind {
            Kind::Secret => Body::Secret(SecretData::of(&value, &mut findings)),
            Kind::Namespace => Body::Namespace(namespace::labels(&value, &findings)),
            kind => {
                let written = spec.clone();
                if let Some(schema) = schema::of_kind(kind.as_str()) {
                    findings.extend(schema.apply(&mut spec, "spec"));
                }
                let body = body(kind, name, &spec, &written, &mut findings);
                last_good =
                    (!findings.iter().any(Finding::is_error)).then(|| spec.to_string().into_boxed_str());
                body
            }
        };
        Self { id, findings, body, last_good: false, spec: last_good, created: 0 }
    }

    /// Which object it is.
    #[must_use]
    pub fn id(&self) -> &ObjectRef {
        &self.id
    }

    /// What is wrong with it by itself. What it refers to is checked when it is compiled.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// True when its own spec is sound, so that [`Object::spec`] may be kept as its last valid one.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.findings.iter().any(Finding::is_error)
    }

    /// A valid spec as JSON, defaults included: what to keep as the last valid one. `None` for invalid objects and for
    /// Secrets and Namespaces. It holds no credential.
    #[must_use]
    pub fn spec(&self) -> Option<&str> {
        self.spec.as_deref().filter(|_| !self.last_good)
    }

    /// Says when the object was created (Unix seconds, as the API server noted it): of two keys with one token the
    /// earlier one has it. Where nobody says so, the first by namespace and name has it.
    #[must_use]
    pub fn with_created(mut self, seconds: i64) -> Self {
        self.created = seconds;
        self
    }

    /// Lets `spec`, kept from [`Object::spec`], serve in place of an invalid one. `disabled` and `expiresAt` of today's
    /// text are still obeyed where they take away. Does nothing to a valid object.
    #[must_use]
    pub fn with_last_good(mut self, spec: &str) -> Self {
        if self.is_valid() || matches!(self.id.kind, Kind::Secret | Kind::Namespace) {
            return self;
        }
        let mut findings = Vec::new();
        let mut kept = serde_json::from_str(spec).unwrap_or_default();
        if let Some(schema) = schema::of_kind(self.id.kind.as_str()) {
            findings.extend(schema.apply(&mut kept, "spec"));
        }
        let old = body(self.id.kind, &self.id.name, &kept, &kept, &mut findings);
        if let Some(finding) = findings.iter().find(|f| f.is_error()) {
            let message = format!("The spec that was kept from before cannot be used any more: {finding}");
            let lost = Finding::error(Reason::LastGoodUnusable, "", message, "Correct today's spec.");
            self.findings.push(lost.warning());
            return self;
        }
        self.body = match (self.body, old) {
            (Body::Key { salvage, generated, .. }, Body::Key { draft: Some(mut draft), .. }) => {
                salvage.tighten(&mut draft.key);
                Body::Key { draft: Some(draft), salvage, generated }
            }
            (_, old) => old,
        };
        self.last_good = true;
        self.spec = Some(spec.into());
        self
    }

    /// Takes over what another declaration of the same object takes away, for when it cannot be told which one is meant:
    /// `disabled` and `expiresAt` of a key; of policies, what either concerns; of namespaces, only labels that both have.
    #[must_use]
    pub fn restricted_by(mut self, other: &Self) -> Self {
        // What is in force is no longer what any spec says.
        self.spec = None;
        match (&mut self.body, &other.body) {
            (Body::Key { draft, salvage, .. }, Body::Key { salvage: more, .. }) => {
                salvage.disabled |= more.disabled;
                salvage.expires_at = [salvage.expires_at, more.expires_at].into_iter().flatten().min();
                draft.iter_mut().for_each(|draft| more.tighten(&mut draft.key));
            }
            (Body::Policy(draft), Body::Policy(more)) if draft != more => *draft = Arc::new(draft.or(more)),
            // Labels grant: providers select by them.
            (Body::Namespace(labels), Body::Namespace(more)) => labels.retain(|k, v| more.get(k) == Some(v)),
            _ => {}
        }
        self
    }

    /// Makes the object invalid, for a reason that only its source knows (it is declared twice). What restricts stays
    /// in force.
    #[must_use]
    pub fn refuse(mut self, finding: Finding) -> Self {
        self.body = match self.body {
            Body::Provider(_) => Body::Provider(None),
            Body::Chain(_) => Body::Chain(None),
            Body::Key { draft, mut salvage, generated } => {
                if let Some(draft) = draft {
                    salvage = KeySalvage { disabled: draft.key.disabled, expires_at: draft.key.expires_at };
                }
                Body::Key { draft: None, salvage, generated }
            }
            Body::Policy(draft) => {
                let mut draft = PolicyDraft::clone(&draft);
                if let Some(policy) = &mut draft.policy {
                    policy.effect = Effect::Closed { reason: finding.to_string().into() };
                }
                Body::Policy(Arc::new(draft))
            }
            Body::Secret(_) => Body::Secret(SecretData::default()),
            labels @ Body::Namespace(_) => labels,
        };
        self.findings.insert(0, finding);
        self.spec = None;
        self.last_good = false;
        self
    }

    /// Says of the object what only its source knows, and leaves in force what is in force.
    #[must_use]
    pub fn blame(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// True for a VirtualKey whose token is to be made by whoever runs the compiler.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        matches!(&self.body, Body::Key { draft: Some(draft), .. } if draft.token == TokenSource::Generated)
    }

    /// The Secret that a token which is made belongs in: `secretName`, else the key's own name.
    #[must_use]
    pub fn token_secret(&self) -> ObjectName {
        match &self.body {
            Body::Key { draft: Some(draft), .. } => match &draft.secret_name {
                Some(secret) => ObjectName::new(self.id.name.namespace.clone(), &**secret),
                None => self.id.name.clone(),
            },
            _ => self.id.name.clone(),
        }
    }

    /// Gives a VirtualKey the hash of the token that was made for it.
    #[must_use]
    pub fn with_token(mut self, token: TokenHash) -> Self {
        if let Body::Key { generated, .. } = &mut self.body {
            *generated = Some(token);
        }
        self
    }

    /// Values of a Secret by key, for whoever resolves references in them.
    pub fn secret_values(&mut self) -> impl Iterator<Item = (&str, &mut SecretValue)> {
        let values = match &mut self.body {
            Body::Secret(data) => Some(data.values.iter_mut().map(|(k, v)| (&**k, v))),
            _ => None,
        };
        values.into_iter().flatten()
    }
}

pub(crate) fn body(
    kind: Kind,
    name: &ObjectName,
    spec: &Value,
    written: &Value,
    findings: &mut Vec<Finding>,
) -> Body {
    match kind {
        Kind::LLMProvider => {
            let draft = checked(spec, findings, |spec, findings| provider::draft(name, spec, findings));
            Body::Provider(draft.map(Arc::new))
        }
        Kind::FallbackChain => {
            let draft = checked(spec, findings, |spec, findings| chain::draft(name, spec, findings));
            Body::Chain(draft.map(Arc::new))
        }
        Kind::VirtualKey => Body::Key {
            draft: checked(spec, findings, |spec, findings| virtual_key::draft(name, spec, findings))
                .map(Box::new),
            salvage: KeySalvage::of(written, findings),
            generated: None,
        },
        Kind::Policy => {
            let draft = checked(spec, findings, |spec, findings| policy::draft(name, spec, findings));
            Body::Policy(Arc::new(draft.unwrap_or_else(|| policy::closed(name, written, findings))))
        }
        Kind::Secret | Kind::Namespace => Body::Namespace(namespace::Labels::new()),
    }
}

/// The draft of a sound spec. Of a spec whose form is at fault, what the values say is reported as well, where nothing
/// is said yet; none of it is in force.
fn checked<T>(
    spec: &Value,
    findings: &mut Vec<Finding>,
    draft: impl Fn(&Value, &mut Vec<Finding>) -> Option<T>,
) -> Option<T> {
    let faults: Vec<&Finding> = findings.iter().filter(|f| f.is_error()).collect();
    if faults.is_empty() {
        return draft(spec, findings);
    }
    let mut rest = json!({ "spec": spec });
    // A broken rule is about several fields, which are sound by themselves.
    faults.iter().filter(|f| f.reason != Reason::RuleBroken).for_each(|f| path::remove(&mut rest, &f.path));
    let mut more = Vec::new();
    draft(&rest["spec"], &mut more);
    let said = |m: &Finding| faults.iter().any(|f| path::overlap(&f.path, &m.path) && *f.path != *"spec");
    more.retain(|m| m.is_error() && *m.path != *"spec" && !said(m));
    findings.extend(more);
    None
}
