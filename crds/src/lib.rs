//! Resource types of `smartflow.dev/v1alpha1`, and the definitions that a cluster installs.
//!
//! One kind per file ([`LLMProvider`], [`FallbackChain`], [`VirtualKey`], [`Policy`]); groups of fields that kinds share are in files
//! named by what they are. Types only: what a resource *means* is decided in `smartflow-compile`. Unknown fields are
//! not refused here; whoever loads a resource compares it with the schema.
// `KubeSchema` repeats every public struct inside a function; printer columns repeat their attributes.
#![allow(unreachable_pub, clippy::duplicated_attributes)]

mod access;
mod auth;
mod budget;
mod chain_params;
mod chain_target;
mod condition;
mod definitions;
mod endpoint;
mod fallback_chain;
mod limits;
mod llm_provider;
mod model;
mod owner;
mod policy;
mod price;
mod restriction;
mod retry;
mod secret_ref;
mod simulation;
mod targets;
mod timeouts;
mod upstream;
mod virtual_key;
mod yaml;

pub use access::{Access, FromNamespaces, LabelSelector, NamespaceAccess};
pub use auth::{ApiKey, Auth, NoCredential, Passthrough};
pub use budget::{Budget, Period, WhenShort};
pub use chain_params::{TargetParams, TargetTimeouts};
pub use chain_target::{ChainTarget, ProviderRef};
pub use condition::{Condition, ConditionStatus};
pub use definitions::{DefinitionError, all};
pub use endpoint::{Endpoint, Queue};
pub use fallback_chain::{FallbackChain, FallbackChainSpec, FallbackChainStatus, FallbackOn, Strategy};
pub use limits::Limits;
pub use llm_provider::{LLMProvider, LLMProviderSpec, LLMProviderStatus};
pub use model::{HiddenOutput, Model, ModelKind, OutputCap, Refused, Thinking};
pub use owner::Owner;
pub use policy::{Enforcement, Policy, PolicySpec, PolicyStatus};
pub use price::{LongContext, Price};
pub use restriction::{AllowDeny, AllowDenyModels, Per, PolicyAccess, PolicyBudget, PolicyLimits};
pub use retry::Retry;
pub use secret_ref::SecretRef;
pub use simulation::Simulation;
pub use targets::Targets;
pub use timeouts::Timeouts;
pub use upstream::{Header, Network, Tls};
pub use virtual_key::{Override, ParentRef, Unsupported, VirtualKey, VirtualKeySpec, VirtualKeyStatus};
pub use yaml::yaml;

/// API group of every kind.
pub const GROUP: &str = "smartflow.dev";
/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// Label that a Secret must carry (value `true`) before anything in it is used as a credential.
pub const CREDENTIAL_LABEL: &str = "smartflow.dev/credential";
