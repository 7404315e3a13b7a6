//! How many records the stream keeps: as many as a pod may miss before it boots again, but no more memory than this.

use std::collections::VecDeque;

/// Most bytes of the records of one leader.
const MOST_BYTES: usize = 16 << 20;
/// Most records of one leader.
const MOST_RECORDS: usize = 8192;
/// Records of the leader before, which bounded them alike.
const BEFORE: usize = 512;

/// Sizes of the records that are kept, oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    sizes: VecDeque<usize>,
    bytes: usize,
    full: bool,
}

impl Window {
    /// How many records are to be kept once one of `size` bytes is added.
    pub(super) fn with(&mut self, size: usize) -> usize {
        self.sizes.push_back(size);
        self.bytes += size;
        while (self.bytes > MOST_BYTES && self.sizes.len() > 1) || self.sizes.len() > MOST_RECORDS {
            self.bytes -= self.sizes.pop_front().unwrap_or_default();
            self.full = true;
        }
        self.sizes.len() + if self.full { 0 } else { BEFORE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_newest_is_kept() {
        let mut window = Window::default();
        assert_eq!(window.with(1), 513);
        assert_eq!(window.with(MOST_BYTES), 1);
        assert_eq!(window.with(1), 1);
        assert_eq!((2..=10).map(|_| window.with(1)).last(), Some(10));
    }
}
