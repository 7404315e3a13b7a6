//! One token, one key.

use super::{Compiler, Dirty};
use crate::object::Kind;
use smartflow_snapshot::{ObjectName, TokenHash};
use std::collections::{BTreeSet, HashMap};

/// When the claimant was created, and who it is: the first in this order has the token.
type Claim = (i64, ObjectName);

/// Who claims which token. The ordinary case (one claimant, and it is served) is kept in the snapshot alone.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    claims: HashMap<TokenHash, BTreeSet<Claim>>,
    touched: BTreeSet<TokenHash>,
}

impl Compiler {
    /// `name` has `token`.
    pub(super) fn claim(&mut self, token: TokenHash, claim: Claim) {
        self.tokens.touched.insert(token);
        let claims = self.tokens.claims.entry(token).or_default();
        if let Some(owner) = self.snapshot.keys.get(&token) {
            claims.insert((owner.created, owner.name.clone()));
        }
        claims.insert(claim);
    }

    /// `name` no longer has `token`.
    pub(super) fn unclaim(&mut self, token: TokenHash, name: &ObjectName) {
        self.tokens.touched.insert(token);
        if let Some(claims) = self.tokens.claims.get_mut(&token) {
            claims.retain(|(_, claimant)| claimant != name);
            if claims.is_empty() {
                self.tokens.claims.remove(&token);
            }
        }
        if self.snapshot.keys.get(&token).is_some_and(|k| k.name == *name) {
            self.snapshot.keys.remove(&token);
        }
    }

    /// Decides who has the tokens that changes touched: the earliest, then the first by namespace and name.
    pub(super) fn settle_tokens(&mut self, dirty: &mut Dirty) {
        let mut turned = Vec::new();
        for claims in self.tokens.touched.iter().filter_map(|t| self.tokens.claims.get(t)) {
            let winner = claims.first().map(|(_, winner)| winner);
            for (_, claimant) in claims {
                let in_use_by = winner.filter(|w| *w != claimant);
                if self.keys.in_use_by(claimant) != in_use_by {
                    turned.push((claimant.clone(), in_use_by.cloned()));
                }
            }
        }
        for (claimant, in_use_by) in turned {
            if let Some(entry) = self.open_key(&claimant) {
                entry.set_in_use_by(in_use_by);
            }
            dirty.report(Kind::VirtualKey, &claimant);
            dirty.keys.insert(claimant);
        }
    }

    /// Puts the keys that have the touched tokens into the snapshot, once they are published by name.
    pub(super) fn publish_tokens(&mut self) {
        for token in std::mem::take(&mut self.tokens.touched) {
            let Some(claims) = self.tokens.claims.get(&token) else { continue };
            let winner = claims.first().and_then(|(_, w)| self.snapshot.keys_by_name.get(w)).cloned();
            match winner {
                Some(key) => {
                    self.snapshot.keys.insert(key);
                    if claims.len() == 1 {
                        self.tokens.claims.remove(&token);
                    }
                }
                None => {
                    self.snapshot.keys.remove(&token);
                }
            }
        }
    }
}
