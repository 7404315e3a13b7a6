//! Numbers that look random and follow from what was asked.

/// A sequence of numbers that depends on nothing but its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u64);

impl Seed {
    /// From bytes (FNV-1a).
    pub(super) fn of(bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
    }

    /// Another sequence for `part` of the same.
    pub(super) fn part(self, part: u64) -> Self {
        let mut seed = Self(self.0 ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(seed.next())
    }

    /// The next number (SplitMix64).
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `all`.
    pub(super) fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let count = all.len().max(1) as u64;
        let at = usize::try_from(self.next() % count).unwrap_or(0);
        all.get(at).copied().unwrap_or_default()
    }
}
