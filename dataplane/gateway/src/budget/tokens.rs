//! Counting tokens, for the rare call whose bound by bytes does not fit the budget (L17).
//!
//! A token has at least one byte, so that bytes bound tokens, but by about four times. Only OpenAI publishes its
//! vocabularies; other models keep the bound by bytes. Loading a vocabulary costs about 0.1 s once, so that it happens
//! off the runtime's thread and never for a call that fits anyway.

use bytes::Bytes;
use smartflow_snapshot::{Model, Provider};
use std::sync::OnceLock;
use tiktoken_rs::{CoreBPE, cl100k_base, o200k_base};
use tokio::task::spawn_blocking;

/// Longest body that is counted.
const LONGEST_BODY: usize = 512 * 1024;
/// Longest run without white space that is counted: merging byte pairs is quadratic in it.
const LONGEST_RUN: usize = 512;

/// A vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// gpt-4o and later.
    O200k,
    /// gpt-4, gpt-3.5 and the embedding models.
    Cl100k,
}

impl Vocabulary {
    /// Vocabulary of `model`, where it is known.
    #[must_use]
    pub fn of(provider: &Provider, model: &Model) -> Option<Self> {
        (&*provider.catalog == "openai").then(|| Self::of_openai(&model.upstream_name))
    }

    fn of_openai(model: &str) -> Self {
        let old = ["gpt-4-", "gpt-3.5", "text-embedding"];
        let name = model.strip_prefix("ft:").unwrap_or(model);
        let is_old = name == "gpt-4" || old.iter().any(|o| name.starts_with(o));
        if is_old { Self::Cl100k } else { Self::O200k }
    }

    fn load(self) -> Option<&'static CoreBPE> {
        static O200K: OnceLock<Option<CoreBPE>> = OnceLock::new();
        static CL100K: OnceLock<Option<CoreBPE>> = OnceLock::new();
        match self {
            Self::O200k => O200K.get_or_init(|| o200k_base().ok()).as_ref(),
            Self::Cl100k => CL100K.get_or_init(|| cl100k_base().ok()).as_ref(),
        }
    }

    /// An upper bound of the text tokens of `body`: those of its JSON, whose escapes and names only add, and 5 % for
    /// pieces that join differently. `None` where counting would cost too much.
    pub async fn count(self, body: Bytes) -> Option<u64> {
        if body.len() > LONGEST_BODY || longest_run(&body) > LONGEST_RUN {
            return None;
        }
        let counting = spawn_blocking(move || {
            let text = std::str::from_utf8(&body).ok()?;
            Some(self.load()?.encode_ordinary(text).len() as u64)
        });
        let counted = counting.await.ok()??;
        Some(counted + counted.div_ceil(20))
    }
}

fn longest_run(body: &[u8]) -> usize {
    body.split(|b| b.is_ascii_whitespace()).map(<[u8]>::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_count_is_far_below_the_bytes_and_above_the_text() {
        let text = "The gateway looks up the key, and the vendor answers in due time. ".repeat(200);
        let body = Bytes::from(format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}"));
        let counted = Vocabulary::O200k.count(body.clone()).await.unwrap();
        let exact = o200k_base().unwrap().encode_ordinary(&text).len() as u64;
        assert!(
            counted >= exact && counted < body.len() as u64 / 3,
            "{exact} <= {counted} of {}",
            body.len()
        );
    }

    #[test]
    fn a_tuned_model_has_the_vocabulary_of_its_base() {
        for old in [
            "gpt-4",
            "gpt-4-turbo",
            "gpt-3.5-turbo",
            "ft:gpt-3.5-turbo-0125:acme::x",
            "text-embedding-3-small",
        ] {
            assert_eq!(Vocabulary::of_openai(old), Vocabulary::Cl100k, "{old}");
        }
        for new in ["gpt-4o", "gpt-4.1-mini", "gpt-5", "ft:gpt-4o-mini-2024-07-18:acme::x", "o3"] {
            assert_eq!(Vocabulary::of_openai(new), Vocabulary::O200k, "{new}");
        }
    }

    #[tokio::test]
    async fn what_would_cost_too_much_is_not_counted() {
        assert_eq!(Vocabulary::O200k.count(Bytes::from(vec![b'a'; LONGEST_RUN + 1])).await, None);
        assert_eq!(Vocabulary::O200k.count(Bytes::from(vec![b' '; LONGEST_BODY + 1])).await, None);
    }
}
