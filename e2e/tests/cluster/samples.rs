//! The samples of `config/samples`, applied in both ways: everything that they say is stored.

use crate::argument;
use serde_json::Value;
use smartflow_rig::cluster::Cluster;

/// Those that are to be applied; `broken` is not.
const WORLDS: [&str; 4] = ["failover", "openai", "quickstart", "team"];

#[tokio::test]
async fn samples_are_accepted_by_both_ways_of_applying_and_nothing_of_them_is_lost() {
    let cluster = Cluster::shared().await;
    let folders = std::fs::read_dir(crate::path("config/samples")).unwrap().map(|e| e.unwrap().file_name());
    let mut worlds: Vec<_> = folders.map(|name| name.into_string().unwrap()).collect();
    worlds.sort();
    worlds.retain(|world| world != "broken");
    assert_eq!(worlds, WORLDS, "a sample that is not tested here");

    for world in WORLDS {
        let folder = argument(&format!("config/samples/{world}"));
        let text = yaml(world);
        let kubectl = cluster.kubectl();
        let parse = ["create", "--dry-run=client", "-o=json", "-f", "-"];
        let declared = objects(&kubectl.run_with(&parse, &text).await.done());
        assert!(!declared.is_empty());
        for way in [&[][..], &["--server-side"][..]] {
            let arguments = [&["apply", "--validate=strict", "-f", "-"], way].concat();
            let said = cluster.kubectl().run_with(&arguments, &text).await;
            assert!(!said.err.contains("Warning"), "{folder}: {}", said.err);
            assert_eq!(said.done().lines().count(), declared.len());
            for object in declared.iter().filter(|o| o["apiVersion"] == "smartflow.dev/v1alpha1") {
                let (kind, name) = (text_of(&object["kind"]), text_of(&object["metadata"]["name"]));
                let plural = crate::KINDS.iter().find(|(k, ..)| *k == kind).unwrap().1;
                let namespace = text_of(&object["metadata"]["namespace"]);
                let stored = cluster.kubectl().in_namespace(namespace).get(&[plural, name]).await;
                lost(&object["spec"], &stored["spec"], &format!("{world}: {kind} {name}: spec"));
            }
        }
        let again = cluster.kubectl().run_with(&["apply", "--server-side", "-f", "-"], &text).await.done();
        assert_eq!(again.lines().count(), declared.len());
        let _ = cluster.kubectl().run_with(&["delete", "--wait=false", "-f", "-"], &text).await.done();
    }
}

/// All files of a sample, those with namespaces first, as one text.
fn yaml(world: &str) -> String {
    let files = std::fs::read_dir(crate::path(&format!("config/samples/{world}"))).unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "yaml"));
    let mut texts: Vec<_> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    texts.sort_by_key(|text| !text.contains("kind: Namespace"));
    texts.join("\n---\n")
}

/// One JSON document after the other, or a list of them.
fn objects(text: &str) -> Vec<Value> {
    let stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let flat = stream.map(|value| value.unwrap()).flat_map(|value| match value["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![value],
    });
    flat.collect()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Panics when something that was declared is not stored; what defaults added is no loss.
fn lost(declared: &Value, stored: &Value, place: &str) {
    match (declared, stored) {
        (Value::Object(declared), Value::Object(stored)) => {
            for (name, value) in declared {
                lost(value, stored.get(name).unwrap_or(&Value::Null), &format!("{place}.{name}"));
            }
        }
        (Value::Array(declared), Value::Array(stored)) if declared.len() == stored.len() => {
            for (index, (declared, stored)) in declared.iter().zip(stored).enumerate() {
                lost(declared, stored, &format!("{place}[{index}]"));
            }
        }
        _ => assert_eq!(declared, stored, "{place}"),
    }
}
