//! Whatever a file holds: an answer, never a panic, and the compiler takes what comes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use smartflow_compile::{Resources, Settings, compile, load, locate};

const WORLDS: [&str; 4] = [
    include_str!("../../samples/broken/keys.yaml"),
    include_str!("../../samples/broken/providers.yaml"),
    include_str!("../../samples/broken/policies.yaml"),
    include_str!("../../samples/team/team-blue.yaml"),
];

fn take(text: &str) {
    let Ok(loaded) = load(text) else { return };
    let resources: Resources = loaded.objects.into_iter().collect();
    for report in compile(&resources, &Settings::default()).reports {
        for finding in &report.findings {
            assert!(locate(text, &report.object, &finding.path).is_some(), "{finding:?}");
            assert!(!finding.message.is_empty() && !finding.fix.is_empty(), "{finding:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Characters that mean something in YAML.
    #[test]
    fn yaml_like(text in r#"[-a:?!&*#|>%@`'"{}\[\], \n\t~.0é\u{feff}]{0,120}"#) {
        take(&text);
    }

    /// A real file with some of its lines gone, doubled or cut, and some of its values replaced.
    #[test]
    fn almost_right(
        world in 0..WORLDS.len(),
        edits in prop::collection::vec((0..400usize, 0..6usize, 0..30usize), 1..8),
    ) {
        let mut lines: Vec<String> = WORLDS[world].lines().map(str::to_owned).collect();
        for (line, edit, place) in edits {
            let at = line % lines.len();
            let line = lines[at].clone();
            let cut: String = line.chars().take(place).collect();
            match edit {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, line),
                2 => lines[at] = cut,
                3 => lines[at] = format!("{cut}{}", "[".repeat(place)),
                4 => lines[at] = line.split_once(':').map_or(cut, |(name, _)| format!("{name}: [7, {{a: null}}]")),
                _ => lines[at] = line.split_once(':').map_or(line.clone(), |(name, _)| format!("{name}: 99999999999999999999")),
            }
            if lines.is_empty() {
                break;
            }
        }
        take(&lines.join("\n"));
    }
}
