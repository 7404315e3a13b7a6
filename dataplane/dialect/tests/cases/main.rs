//! The cases of translation, each a golden test named by its number: what goes in, and what must come out.
//! `openai` holds those whose caller speaks OpenAI, `anthropic` those whose caller speaks Anthropic.
//!
//! Of the cases that concern the two formats these need more than a codec, and are held where it is:
//!
//! | Case | Test |
//! |---|---|
//! | 13, 47, 51, 75 (same format) | `tests/chat_scan.rs`, `tests/anthropic_scan.rs`, `tests/stream.rs`, `tests/anthropic_stream.rs` |
//! | 61 (a provider that does not stream) | `tests/replay.rs`; e2e `case_061_a_vendor_that_answers_whole_is_streamed_by_us` |
//! | 58 | e2e `a_caller_that_leaves_a_stream_pays_for_what_was_produced`, `a_caller_that_leaves_before_the_answer_lets_the_vendor_go` |
//! | 59 | e2e `a_vendor_that_stalls_or_hangs_is_given_up`; `upstream/deadline.rs` |
//! | 60 | e2e `after_the_first_byte_nothing_else_is_tried`, `each_attempt_is_billed_for_what_it_served` |
//! | 84, 86 (status, `retry-after`, whose credential) | e2e `vendors_that_fail_are_502_with_their_reason_and_without_their_secrets`, `where_all_targets_have_too_much_to_do_callers_are_told_so` |
//! | 99 (on a budget) | e2e `case_099_a_document_on_a_budget_may_fill_the_models_window_and_is_billed_as_counted` |
//! | 107 | e2e `tokens_are_counted_for_free_by_who_can` |
//! | 108, 112 (same format) | e2e `where_both_speak_alike_bytes_pass`, `the_same_dialect_passes_byte_for_byte_but_for_what_must_change` |
//! | 109 | `tests/splice.rs`, `tests/bound.rs`, `tests/reply.rs`; the SDKs' cases |
//! | 113 (by name) | e2e `models_answer_to_their_aliases_and_reach_the_vendor_by_their_upstream_name` |
//!
//! 11, 16, 17, 20, 27, 35 to 37, 39, 50, 73, 74, 80 to 82, 101 and 110 are about other vendors; 34, 105 and 106 about the Responses API; 114 and
//! 115 about content policies and caches, which there are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod anthropic;
mod harness;
mod openai;
