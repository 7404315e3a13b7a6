//! What the simulation says, and what counts as one token of it.

use super::request::Request;
use super::seed::Seed;

/// Longest quote of the prompt, in characters.
const QUOTE: usize = 200;

/// Most words that a prompt may ask for, all answers together.
const MOST_WORDS: usize = 20_000;

const FILLER: [&str; 24] = [
    "the", "lamp", "turns", "slowly", "over", "quiet", "water", "and", "nobody", "thinks", "while", "these",
    "words", "are", "counted", "out", "one", "by", "one", "as", "a", "stand-in", "for", "meaning",
];

/// The text of answer number `choice`.
pub(super) fn answer(request: &Request, choice: u32, seed: Seed) -> String {
    let prompt = request.prompt();
    let mut text = String::from("Simulated answer, no model was asked.");
    let n = request.n.unwrap_or(1);
    if n > 1 {
        text.push_str(&format!(" Answer {} of {n}.", choice + 1));
    }
    for result in request.tool_results() {
        text.push_str(&format!(" The tool said: \"{}\".", quote(&result)));
    }
    if !prompt.is_empty() {
        text.push_str(&format!(" You wrote: \"{}\".", quote(&prompt)));
    }
    let images = request.images();
    if images > 0 {
        text.push_str(&format!(" Images that nobody looked at: {images}."));
    }
    let most = MOST_WORDS / usize::try_from(n.max(1)).unwrap_or(MOST_WORDS);
    fill(&mut text, wanted_words(&prompt).min(most), seed);
    text
}

/// The beginning of `text` on one line.
fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// The number before `words` in the prompt: "tell me a story in 500 words".
fn wanted_words(prompt: &str) -> usize {
    let words: Vec<_> =
        prompt.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let wanted =
        words.windows(2).find(|pair| matches!(pair[1], "words" | "word")).map(|pair| pair[0].parse());
    wanted.and_then(Result::ok).unwrap_or(0)
}

fn fill(text: &mut String, words: usize, mut seed: Seed) {
    let have = text.split_whitespace().count();
    for _ in have..words {
        text.push(' ');
        text.push_str(seed.pick(&FILLER));
    }
}

/// Most bytes of a token; characters are not split.
const LONGEST_TOKEN: usize = 8;

/// Where the token that starts at `at` ends: a word with the space before it, or eight bytes of a longer one.
pub(super) fn token_end(text: &str, at: usize) -> usize {
    let mut end = at;
    for (offset, letter) in text[at..].char_indices() {
        let word_starts = offset > 0 && letter == ' ';
        if word_starts || offset + letter.len_utf8() > LONGEST_TOKEN.max(letter.len_utf8()) {
            break;
        }
        end = at + offset + letter.len_utf8();
    }
    end
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let end = token_end(text, at);
        let token = &text[at..end];
        at = end;
        (!token.is_empty()).then_some(token)
    })
}

/// The first `most` tokens of `text`, how many they are, and whether that is all of it.
pub(super) fn cut(text: &str, most: usize) -> (&str, usize, bool) {
    let (mut bytes, mut count) = (0, 0);
    for token in tokens(text).take(most) {
        bytes += token.len();
        count += 1;
    }
    (&text[..bytes], count, bytes == text.len())
}

#[cfg(test)]
mod tests {
    use super::{cut, tokens, wanted_words};

    #[test]
    fn tokens_make_up_the_text() {
        for text in
            ["", "a", "Simulated answer, no.", "  two  spaces ", "天地玄黄宇宙洪荒 and 😀😀😀", "\n\nx"]
        {
            let all: Vec<_> = tokens(text).collect();
            assert_eq!(all.concat(), text);
            assert!(all.iter().all(|token| !token.is_empty() && token.len() <= 8), "{all:?}");
            for most in 0..4 {
                let (begin, count, whole) = cut(text, most);
                assert!(text.starts_with(begin));
                assert_eq!((count, whole), (most.min(all.len()), most >= all.len()));
            }
        }
    }

    #[test]
    fn words_that_are_asked_for() {
        assert_eq!(wanted_words("Tell me a story in 500 words, please"), 500);
        assert_eq!(wanted_words("words words"), 0);
        assert_eq!(wanted_words("99999999999999999999 words"), 0);
        assert_eq!(wanted_words("999999 words"), 999_999);
    }
}
