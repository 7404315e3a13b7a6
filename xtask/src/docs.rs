//! `cargo xtask docs`: writes docs/resources.md, the reference of every field, from the types in crds/src.

use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask docs`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Write nothing; fail when the file differs from the types.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Why the reference was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The types have no proper definition.
    #[error(transparent)]
    Definition(#[from] smartflow_crds::DefinitionError),
    /// A definition has no JSON form.
    #[error("definition of {kind}: {source}")]
    Form {
        /// The kind.
        kind: String,
        /// What serde said.
        source: serde_json::Error,
    },
    /// The file could not be written.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `--check` found a difference.
    #[error("out of date: {0}; run `cargo xtask docs`")]
    Drift(&'static str),
}

const FILE: &str = "docs/resources.md";

/// Writes the reference when it changed, or compares it with `--check`.
pub(crate) fn run(args: &Args, root: &Path) -> Result<(), Error> {
    let text = reference()?;
    let path = root.join(FILE);
    if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    if args.check {
        return Err(Error::Drift(FILE));
    }
    std::fs::write(&path, text).map_err(|source| Error::Write { path: path.clone(), source })?;
    println!("wrote {}", path.display());
    Ok(())
}

fn reference() -> Result<String, Error> {
    let mut out = String::from(
        "<!-- Written by `cargo xtask docs` from the types in crds/src. Do not edit. -->\n# Resources, field by field\n\n\
         Group `smartflow.dev`, version `v1alpha1`, namespaced. Every field here is enforced; what is not enforced is not a \
         field. `[]` marks a list, `*` a field that must be given. The same limits and rules hold in a folder \
         (`--world`) and on a cluster.\n",
    );
    for definition in smartflow_crds::all()? {
        let kind = definition.spec.names.kind.clone();
        let short = definition.spec.names.short_names.clone().unwrap_or_default().join(", ");
        let value =
            serde_json::to_value(&definition).map_err(|source| Error::Form { kind: kind.clone(), source })?;
        let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let _ =
            write!(out, "\n## {kind}\n\nShort name: `{short}`. {}\n", one_line(text(schema, "description")));
        for part in ["spec", "status"] {
            let _ = write!(out, "\n### {kind}.{part}\n\n| Field | Type | Meaning |\n|---|---|---|\n");
            fields(&mut out, &schema["properties"][part], "");
            rules(&mut out, &schema["properties"][part], part);
        }
    }
    Ok(out)
}

/// One row for each field of an object, its own fields below it.
fn fields(out: &mut String, object: &Value, prefix: &str) {
    let required: Vec<&str> = list(&object["required"]).filter_map(Value::as_str).collect();
    let Some(properties) = object["properties"].as_object() else { return };
    for (name, schema) in properties {
        let star = if required.contains(&name.as_str()) { "*" } else { "" };
        let items = &schema["items"];
        let (path, inner) = if items.is_object() {
            (format!("{prefix}{name}[]"), items)
        } else {
            (format!("{prefix}{name}"), schema)
        };
        let meaning = one_line(text(schema, "description")).replace('|', "\\|");
        let _ = writeln!(out, "| `{path}`{star} | {} | {meaning} |", shape(schema));
        fields(out, inner, &format!("{path}."));
    }
}

/// Type, bounds and default of a field.
fn shape(schema: &Value) -> String {
    let items = &schema["items"];
    let inner = if items.is_object() { items } else { schema };
    let choices: Vec<&str> = list(&inner["enum"]).filter_map(Value::as_str).collect();
    let mut parts = vec![if choices.is_empty() {
        text(inner, "format")
            .split('-')
            .next()
            .filter(|f| !f.is_empty())
            .unwrap_or(text(inner, "type"))
            .to_owned()
    } else {
        choices.join(" or ")
    }];
    for (bound, said) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters from"),
        ("maxLength", "characters to"),
        ("pattern", "form"),
    ] {
        if let Some(value) = bound_of(inner, bound) {
            parts.push(format!("{said} {value}"));
        }
    }
    for (bound, said) in [("maxItems", "entries to"), ("maxProperties", "entries to"), ("default", "default")]
    {
        if let Some(value) = bound_of(schema, bound) {
            parts.push(format!("{said} {value}"));
        }
    }
    parts.join(", ").replace('|', "\\|")
}

fn bound_of(schema: &Value, name: &str) -> Option<String> {
    match &schema[name] {
        Value::Null => None,
        Value::String(text) => Some(format!("`{text}`")),
        // What the integer type or JSON bounds anyway.
        Value::Number(number) if number.as_f64().is_some_and(|number| number >= f64::from(i32::MAX)) => None,
        Value::Number(number) => Some(number.to_string().trim_end_matches(".0").to_owned()),
        other => Some(format!("`{other}`")),
    }
}

/// The rules across fields, wherever in the object they are.
fn rules(out: &mut String, schema: &Value, path: &str) {
    for rule in list(&schema["x-kubernetes-validations"]) {
        let _ = write!(out, "\nRule on `{path}`: {}\n", one_line(text(rule, "message")));
    }
    rules_below(out, schema, path);
}

fn rules_below(out: &mut String, schema: &Value, path: &str) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            rules(out, inner, &format!("{path}.{name}"));
            if inner["items"].is_object() {
                rules(out, &inner["items"], &format!("{path}.{name}[]"));
            }
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
