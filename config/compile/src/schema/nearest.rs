//! "Did you mean".

/// The candidate that is most like `word`, when one is like enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let reach = 1 + word.chars().count() / 4;
    let distance = |c: &'a str| (distance(&word, &c.to_lowercase()), c);
    candidates.into_iter().map(distance).min().filter(|(d, _)| *d <= reach).map(|(_, c)| c)
}

/// Edits (insert, remove, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                replace.min(swap).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let fields = ["apiKey", "baseURL", "models", "provider"];
        for (typo, meant) in
            [("baseUrl", "baseURL"), ("apikey", "apiKey"), ("model", "models"), ("provdier", "provider")]
        {
            assert_eq!(nearest(typo, fields), Some(meant));
        }
        assert_eq!(nearest("temperature", fields), None);
    }
}
