//! Filler text.

/// ASCII prose of exactly `bytes` bytes: words and stops, so that whoever scans, escapes or counts it has ordinary
/// work, and no quote, so that it may stand in JSON as it is.
#[must_use]
pub fn prose(bytes: usize) -> String {
    const SENTENCE: &str =
        "A caller asks, the gateway looks up the key, and the vendor answers in due time. ";
    SENTENCE.bytes().cycle().take(bytes).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::prose;

    #[test]
    fn prose_has_the_size_asked_for_and_needs_no_escape() {
        for size in [0, 1, 200, 65_536] {
            let text = prose(size);
            assert_eq!(text.len(), size);
            assert!(!text.contains(['"', '\\']) && text.is_ascii());
        }
    }
}
