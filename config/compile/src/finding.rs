//! What is wrong with an object, where, and what to do about it.

use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub enum Severity {
    /// The object, or what the finding names, is not in force.
    Error,
    /// Everything is in force, but probably not as meant.
    Warning,
}

/// Which condition of the object an error makes `False`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub enum Condition {
    /// What the object says by itself.
    Accepted,
    /// What it refers to.
    ResolvedRefs,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Why, as one CamelCase word: the `reason` of the condition, and what scripts match on.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        pub enum Reason { $($(#[$doc])* $name),+ }

        impl Reason {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// The reason of that word.
            #[must_use]
            pub fn of(word: &str) -> Option<Self> {
                match word { $(stringify!($name) => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// The text is not YAML.
    Syntax,
    /// Too deep, too large, or aliases that grow too large.
    TooComplex,
    /// The same field twice in one mapping.
    DuplicateKey,
    /// Not a kind that is known here.
    UnknownKind,
    /// The same object is declared in two places.
    DuplicateObject,
    /// A field that the kind does not have.
    UnknownField,
    /// A field is missing.
    Required,
    /// A number where text belongs, and the like.
    WrongType,
    /// Not one of the values that are allowed.
    NotSupported,
    /// Text, number or list outside its form or bounds.
    Invalid,
    /// The same entry twice in a list.
    Duplicate,
    /// A rule over several fields is broken.
    RuleBroken,
    /// Not a name that Kubernetes allows.
    InvalidName,
    /// No provider of that name in the catalog.
    UnknownProvider,
    /// A URL, header or list that is well formed but not allowed.
    NotAllowed,
    /// Loopback or private address without `network.allowPrivate`.
    PrivateAddress,
    /// A model without a price.
    PriceUnknown,
    /// Two objects offer the same model name; nobody gets it.
    NameClash,
    /// A name is also `provider/model` of another provider, which keeps it.
    NameShadowed,
    /// Another key has the same token.
    TokenInUse,
    /// A token that was brought along is too short.
    TokenTooShort,
    /// The token is not there yet.
    TokenPending,
    /// The Secret does not exist.
    SecretNotFound,
    /// The Secret has no such key.
    SecretKeyNotFound,
    /// The Secret lacks the label that opens it for use as a credential.
    SecretNotLabelled,
    /// The Secret's value refers to something (environment, file) that could not be read.
    SecretUnresolved,
    /// The Secret that a token is to be written to belongs to somebody else.
    SecretNotOwned,
    /// The Secret's value cannot be used.
    SecretInvalid,
    /// The parent key does not exist or is invalid.
    ParentNotFound,
    /// A key is its own ancestor.
    ParentCycle,
    /// More ancestors than are allowed.
    ParentTooDeep,
    /// The provider does not exist, or may not be used from here.
    ProviderNotFound,
    /// The provider has no such model.
    ModelNotFound,
    /// No model that exists matches what the key grants.
    NoModelMatches,
    /// A kept spec can no longer be used.
    LastGoodUnusable,
    /// The operator says something that this version of the gateway cannot read.
    GatewayTooOld,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a text; both count from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// One fault of one object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The condition that it concerns.
    pub condition: Condition,
    /// Why.
    pub reason: Reason,
    /// The field, such as `spec.models[2].price.input`; empty = the whole object.
    pub path: Box<str>,
    /// What is wrong. Never holds the value of a Secret.
    pub message: Box<str>,
    /// What to do about it.
    pub fix: Box<str>,
    /// Where the field is in the text that the object was loaded from, when it was loaded from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
}

impl Finding {
    /// An error of the object itself.
    #[must_use]
    pub fn error(reason: Reason, path: &str, message: impl Into<Box<str>>, fix: impl Into<Box<str>>) -> Self {
        Self {
            severity: Severity::Error,
            condition: Condition::Accepted,
            reason,
            path: path.into(),
            message: message.into(),
            fix: fix.into(),
            at: None,
        }
    }

    /// An error of what the object refers to.
    #[must_use]
    pub fn reference(
        reason: Reason,
        path: &str,
        message: impl Into<Box<str>>,
        fix: impl Into<Box<str>>,
    ) -> Self {
        Self { condition: Condition::ResolvedRefs, ..Self::error(reason, path, message, fix) }
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// True when it says that `path`, or what holds it, is there twice, so that nobody knows which one is meant.
    pub(crate) fn doubles(&self, path: &str) -> bool {
        let above = path.strip_prefix(&*self.path);
        self.reason == Reason::DuplicateKey
            && above.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// True when it takes something out of force.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        if !self.fix.is_empty() {
            write!(f, " Fix: {}", self.fix)?;
        }
        Ok(())
    }
}
