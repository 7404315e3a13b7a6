//! Vendors' messages, before anybody else reads them.

/// Longest message that is passed on, in characters.
const LONGEST: usize = 600;

/// `message` without what looks like a credential or an address, cut to a bounded length. Vendors quote the key that
/// was refused, and proxies the host that they could not reach.
pub(super) fn clean(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(LONGEST));
    let mut bearer = false;
    for word in message.split_inclusive([' ', '\n', '\t', ',', ';', '"', '\'', '(', ')', '<', '>']) {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        if bearer || is_secret(core) {
            out.push_str("[redacted]");
        } else if word.contains("://") {
            out.push_str("[address]");
        } else {
            out.push_str(word);
            bearer = core.eq_ignore_ascii_case("bearer");
            continue;
        }
        bearer = false;
        if let Some(last) = word.chars().next_back().filter(|last| !last.is_alphanumeric()) {
            out.push(last);
        }
    }
    if out.chars().count() > LONGEST {
        out = out.chars().take(LONGEST).collect();
    }
    out
}

/// Known beginnings of keys, and long words that mix letters and digits as no language does.
fn is_secret(word: &str) -> bool {
    const BEGINNINGS: [&str; 9] = ["sk-", "sk_", "pk-", "gsk_", "xai-", "key-", "AIza", "eyJ", "r8_"];
    if BEGINNINGS.iter().any(|beginning| word.len() > 8 && word.starts_with(beginning)) {
        return true;
    }
    let masked = word.contains("***");
    let long = word.len() >= 24 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+/=*".contains(&b));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    masked || (long && digits >= 4 && word.bytes().any(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn keys_and_addresses_do_not_pass() {
        for (message, gone) in [
            ("Incorrect API key provided: sk-proj-abcdefgh1234. You can find", "sk-proj"),
            ("Incorrect API key provided: abcd***wxyz.", "abcd"),
            ("bad header Authorization: Bearer short-one", "short-one"),
            ("token 9f86d081884c7d659a2feaa0c55ad015 is revoked", "9f86"),
            ("cannot reach http://10.1.2.3:8000/v1/chat (refused)", "10.1.2.3"),
        ] {
            let cleaned = clean(message);
            assert!(!cleaned.contains(gone), "{cleaned}");
        }
    }

    #[test]
    fn ordinary_words_do() {
        let message = "The model `gpt-4o-mini-2024-07-18` does not support 'top_k' (see the docs).";
        assert_eq!(clean(message), message);
        assert_eq!(clean(&"ab ".repeat(1000)).chars().count(), 600);
    }
}
