//! Priority: as declared.

use super::Candidate;

/// They stand as declared already, unless an earlier order moved them.
pub fn order(group: &mut [Candidate]) {
    group.sort_unstable_by_key(|c| c.index);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidates, indices};

    #[test]
    fn the_first_is_always_the_first() {
        let mut group = candidates(&[1, 1, 1]);
        group.swap(0, 2);
        super::order(&mut group);
        assert_eq!(indices(&group), [0, 1, 2]);
    }
}
