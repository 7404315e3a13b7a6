//! Vectors for texts: of length one, and nearer to each other the more words two texts share.

use super::seed::Seed;

/// Words of a text that count: a runtime's thread makes the vectors, and a request may have 2,048 texts.
const MOST_WORDS: usize = 128;

/// The vector of a text.
pub(super) fn of_text(text: &str, dimensions: usize) -> Vec<f32> {
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let seeds = words.take(MOST_WORDS).map(|word| Seed::of(word.as_bytes()));
    of_seeds(seeds, Seed::of(text.as_bytes()), dimensions)
}

/// The vector of a list of tokens.
pub(super) fn of_tokens(tokens: &[u32], dimensions: usize) -> Vec<f32> {
    let bytes: Vec<_> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    let seeds = tokens.iter().take(MOST_WORDS).map(|token| Seed::of(&token.to_le_bytes()));
    of_seeds(seeds, Seed::of(&bytes), dimensions)
}

/// Adds a sign a dimension for every seed; `whole` tells apart texts of the same words.
fn of_seeds(seeds: impl Iterator<Item = Seed>, whole: Seed, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f32; dimensions];
    add(&mut sum, whole, 0.25);
    seeds.for_each(|seed| add(&mut sum, seed, 1.0));
    let length = sum.iter().map(|part| part * part).sum::<f32>().sqrt();
    sum.iter_mut().for_each(|part| *part /= length);
    sum
}

fn add(sum: &mut [f32], mut seed: Seed, weight: f32) {
    for block in sum.chunks_mut(64) {
        let mut signs = seed.next();
        for part in block {
            *part += if signs & 1 == 1 { weight } else { -weight };
            signs >>= 1;
        }
    }
}
