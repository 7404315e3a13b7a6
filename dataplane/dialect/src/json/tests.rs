//! The cursor beside `serde_json`: a document that one of them takes and the other does not is a way around a policy.

use super::{Cursor, JsonFault, Kind};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

fn pass(bytes: &[u8]) -> Result<(), JsonFault> {
    let mut cursor = Cursor::new(bytes, 128)?;
    cursor.skip()?;
    cursor.end()
}

fn serde_takes(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-z \\\\\"\n\u{1}é天😀]{0,40}", ".{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bytes that matter to a JSON reader more often than others.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(b"{}[]\",:\\u0e+-.tfn \n\x1f\x80".to_vec()), any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn takes_what_serde_takes(value in value(), pretty: bool, edits in prop::collection::vec((any::<prop::sample::Index>(), byte(), 0..3), 0..3)) {
        let mut text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        if edits.is_empty() {
            prop_assert_eq!(pass(&text), Ok(()));
        }
        for (at, byte, how) in edits {
            let at = at.index(text.len().max(1)).min(text.len().saturating_sub(1));
            match how {
                0 if !text.is_empty() => text[at] = byte,
                1 => text.insert(at, byte),
                _ if !text.is_empty() => { text.remove(at); }
                _ => {}
            }
        }
        prop_assert_eq!(pass(&text).is_ok(), serde_takes(&text), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn strings_are_read_as_serde_reads_them(raw in r#"([a-zé天😀]{0,40}|\\[nrtbf"\\/]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude00){0,8}"#) {
        let quoted = format!("\"{raw}\"");
        let mut cursor = Cursor::new(quoted.as_bytes(), 128).unwrap();
        prop_assert_eq!(cursor.peek(), Ok(Kind::String));
        let read = cursor.string().unwrap();
        let text = read.text.get(quoted.as_bytes());
        prop_assert_eq!(read.len, text.len());
        prop_assert_eq!(read.text.escaped, raw.contains('\\'));
        // serde refuses surrogates that stand alone; we read them as the replacement character.
        if let Ok(expected) = serde_json::from_str::<String>(&quoted) {
            prop_assert_eq!(text.as_ref(), expected);
        }
        let mut written = Vec::new();
        super::push_string(&mut written, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text.as_ref());
    }
}

#[test]
fn words_that_are_nearly_json() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "[1 2]",
        "01",
        "1.",
        "1e",
        "-",
        "+1",
        ".5",
        "tru",
        "nul",
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"abc",
        "[1]x",
        "{} {}",
        "[}",
        "{]",
        "NaN",
        "'a'",
        "\u{feff}{}",
        "[,1]",
    ] {
        assert!(pass(text.as_bytes()).is_err(), "{text}");
        assert!(!serde_takes(text.as_bytes()), "{text}");
    }
    assert!(matches!(pass(b"\"\xff\""), Err(JsonFault::NotUtf8 { at: 1 })));
    assert!(matches!(pass(b"\"\xed\xa0\x80\""), Err(JsonFault::NotUtf8 { .. })));
}

#[test]
fn depth_ends_at_the_limit_whatever_is_nested() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let levels = open.matches(['[', '{']).count();
        let nest = |depth: usize| format!("{}1{}", open.repeat(depth / levels), close.repeat(depth / levels));
        assert_eq!(pass(nest(128).as_bytes()), Ok(()), "{open}");
        let deeper = pass(nest(128 + levels).as_bytes());
        assert!(matches!(deeper, Err(JsonFault::TooDeep { limit: 128, .. })), "{open} {deeper:?}");
        assert!(matches!(pass(open.repeat(1_000_000).as_bytes()), Err(JsonFault::TooDeep { .. })));
    }
}

#[test]
fn spans_are_where_the_values_are() {
    let text = json!({"a": [1, {"b": "x\"y"}], "c": 2.5}).to_string();
    let mut cursor = Cursor::new(text.as_bytes(), 128).unwrap();
    cursor.peek().unwrap();
    cursor.enter().unwrap();
    let mut first = true;
    let mut values = Vec::new();
    while cursor.key(&mut first).unwrap().is_some() {
        values.push(String::from_utf8(cursor.skip().unwrap().of(text.as_bytes()).to_vec()).unwrap());
    }
    assert_eq!(values, [r#"[1,{"b":"x\"y"}]"#, "2.5"]);
}
