//! Documents as trees: what is where.

use super::limit::Count;
use super::{position, scalar, syntax};
use crate::finding::{Finding, Position, Reason};
use crate::path::steps;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::Value;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Of a field: where its name is.
    pub(crate) at: Position,
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Scalar(Value),
    Map(BTreeMap<String, Tree>),
    List(Vec<Tree>),
}

impl Tree {
    /// The value without places.
    pub(crate) fn value(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::Map(fields) => fields.iter().map(|(k, v)| (k.clone(), v.value())).collect(),
            Node::List(items) => items.iter().map(Self::value).collect(),
        }
    }

    /// Where `path` (`spec.models[2].name`, `metadata.labels[a.b/c]`) is, or the nearest thing above it.
    pub(crate) fn locate(&self, path: &str) -> Position {
        let mut here = self;
        for step in steps(path) {
            let next = match &here.node {
                Node::Map(fields) => fields.get(step),
                Node::List(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
                Node::Scalar(_) => None,
            };
            match next {
                Some(tree) => here = tree,
                None => break,
            }
        }
        here.at
    }
}

/// The documents of a text, one at a time; empty documents are left out. What comes after a fault cannot be relied on, so
/// that [`super::check`] goes before, or nothing is used until all is read.
pub(crate) struct Documents<'a> {
    parser: Parser<'a, StrInput<'a>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Tree>,
    findings: Vec<Finding>,
    done: Option<Tree>,
    count: Count,
}

struct Open {
    at: Position,
    anchor: usize,
    path: String,
    node: Node,
    key: Option<(String, Position)>,
}

impl<'a> Documents<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            parser: Parser::new_from_str(text),
            open: Vec::new(),
            anchors: HashMap::new(),
            findings: Vec::new(),
            done: None,
            count: Count::default(),
        }
    }

    fn event(&mut self, event: Event<'_>, at: Position) -> bool {
        match event {
            Event::DocumentStart(_) => self.anchors.clear(),
            Event::DocumentEnd => return true,
            Event::MappingStart(anchor, _) => self.start(anchor, at, Node::Map(BTreeMap::new())),
            Event::SequenceStart(anchor, _) => self.start(anchor, at, Node::List(Vec::new())),
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(open) = self.open.pop() {
                    self.complete(open.anchor, Tree { at: open.at, node: open.node });
                }
            }
            Event::Alias(anchor) => {
                let tree = self.anchors.get(&anchor).cloned();
                self.complete(0, tree.unwrap_or(Tree { at, node: Node::Scalar(Value::Null) }));
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(Open { node: Node::Map(_), key: key @ None, .. }) = self.open.last_mut() {
                    let name = text.into_owned();
                    *key = Some((name.clone(), at));
                    let bare = style == ScalarStyle::Plain && tag.is_none();
                    if let Some(message) = scalar::ambiguous(&name).filter(|_| bare) {
                        self.finding(Reason::WrongType, "", at, message, "Put it in quotes.");
                    }
                    if anchor != 0 {
                        self.anchors.insert(anchor, Tree { at, node: Node::Scalar(Value::String(name)) });
                    }
                } else {
                    let value = scalar::value(&text, style, tag.as_deref()).unwrap_or_else(|message| {
                        let fix = if tag.is_some() {
                            "Put it in quotes, or leave the tag out."
                        } else {
                            "Put it in quotes."
                        };
                        self.finding(Reason::WrongType, "", at, message, fix);
                        Value::String(text.into_owned())
                    });
                    self.complete(anchor, Tree { at, node: Node::Scalar(value) });
                }
            }
            _ => {}
        }
        false
    }

    fn start(&mut self, anchor: usize, at: Position, node: Node) {
        let path = self.path("");
        // A container as the name of a field: its content is read as the name's value and reported when it ends.
        self.open.push(Open { at, anchor, path, node, key: None });
    }

    fn complete(&mut self, anchor: usize, tree: Tree) {
        if anchor != 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.done = Some(tree);
            return;
        };
        match (&mut open.node, open.key.take()) {
            (Node::List(items), _) => items.push(tree),
            (Node::Map(fields), Some((name, at))) => {
                if let Entry::Vacant(field) = fields.entry(name.clone()) {
                    field.insert(Tree { at, node: tree.node });
                    return;
                }
                let path = if open.path.is_empty() { name.clone() } else { format!("{}.{name}", open.path) };
                let message = format!("The field {name} is here twice.");
                self.finding(Reason::DuplicateKey, &path, at, message, "Keep one of the two.");
            }
            (Node::Map(_), None) => {
                let at = tree.at;
                open.key = Some(("?".to_owned(), at));
                let fix = "Write the field's name as text, followed by a colon.";
                self.finding(Reason::WrongType, "", at, "The name of a field is not text.".to_owned(), fix);
            }
            (Node::Scalar(_), _) => {}
        }
    }

    /// Path of what is being read: the innermost container's, with `name` in it.
    fn path(&self, name: &str) -> String {
        let Some(open) = self.open.last() else { return name.to_owned() };
        match (&open.node, &open.key) {
            (Node::List(items), _) => format!("{}[{}]", open.path, items.len()),
            (_, Some((key, _))) if open.path.is_empty() => key.clone(),
            (_, Some((key, _))) => format!("{}.{key}", open.path),
            _ => open.path.clone(),
        }
    }

    fn finding(&mut self, reason: Reason, path: &str, at: Position, message: String, fix: &str) {
        let path = if path.is_empty() { self.path("") } else { path.to_owned() };
        self.findings.push(Finding { at: Some(at), ..Finding::error(reason, &path, message, fix) });
    }
}

impl Iterator for Documents<'_> {
    /// A tree and its own faults; or, were the text not YAML, why.
    type Item = Result<(Tree, Vec<Finding>), Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (event, span) = match self.parser.next_event()? {
                Ok(next) => next,
                Err(error) => return Some(Err(syntax(&error))),
            };
            if let Err(fault) = self.count.take(&event, || position(&span.start)) {
                return Some(Err(fault));
            }
            if self.event(event, position(&span.start)) {
                let findings = std::mem::take(&mut self.findings);
                match self.done.take() {
                    Some(Tree { node: Node::Scalar(Value::Null), .. }) | None => {}
                    Some(tree) => return Some(Ok((tree, findings))),
                }
            }
        }
    }
}
