//! Names of tools and ids of calls within the target's rules (cases 25, 26).

use super::Memory;
use std::borrow::Cow;

fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// `name` if it is of letters, digits, `_` and `-` only, and at most `longest` bytes long; else one that is, always
/// the same for the same name.
pub(crate) fn fitting(name: &str, longest: usize) -> Cow<'_, str> {
    if !name.is_empty() && name.len() <= longest && name.chars().all(allowed) {
        return Cow::Borrowed(name);
    }
    let mark = format!("_{:016x}", digest(name));
    let kept = name.chars().map(|c| if allowed(c) { c } else { '_' });
    Cow::Owned(kept.take(longest.saturating_sub(mark.len())).chain(mark.chars()).collect())
}

/// FNV-1a, stirred: the same in every pod, after every restart and with every release, as prefix caches demand. Who
/// wants two names of his own to meet may have that.
fn digest(name: &str) -> u64 {
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let stirred = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    stirred ^ (stirred >> 32)
}

impl Memory {
    /// As [`fitting`], and the answer will say the caller's name again.
    pub(crate) fn tool_name<'n>(&mut self, name: &'n str, longest: usize) -> Cow<'n, str> {
        let sent = fitting(name, longest);
        if let Cow::Owned(sent) = &sent {
            self.names.entry(sent.as_str().into()).or_insert_with(|| name.into());
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, fitting};

    #[test]
    fn names_keep_to_the_rules_and_lead_back() {
        let mut memory = Memory::default();
        assert_eq!(memory.tool_name("get_weather-2", 64), "get_weather-2");
        assert!(memory.names.is_empty());
        let long = "a".repeat(80);
        for name in [long.as_str(), "files.read", "wetter_für_übermorgen", ""] {
            let sent = memory.tool_name(name, 64).into_owned();
            assert!(!sent.is_empty() && sent.len() <= 64, "{sent}");
            assert_eq!(fitting(&sent, 64), sent.as_str());
            assert_eq!(memory.tool_name(name, 64), sent.as_str());
            assert_eq!(memory.callers_name(&sent), name);
        }
        assert_eq!(memory.names.len(), 4);
        assert_ne!(fitting("files.read", 64), fitting("files:read", 64));
    }
}
