//! The cases of translation, each a golden test named by its number: what goes in, and what must come out.
//! `openai` holds those whose caller speaks OpenAI, `anthropic` those whose caller speaks Anthropic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod anthropic;
mod harness;
mod openai;
