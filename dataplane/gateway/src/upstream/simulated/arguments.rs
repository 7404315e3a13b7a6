//! Which tools the simulation calls, and with what.

use super::request::Request;
use super::schema;
use super::seed::Seed;
use serde_json::Value;

/// A call of a tool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON that fits the tool's schema; free text for a custom tool.
    pub(super) arguments: String,
    /// A tool of type `custom`.
    pub(super) custom: bool,
}

/// The calls; `None` = answer in text.
///
/// A named tool is called when `tool_choice` says so. Else the tools that the prompt names are called, all of them when
/// it says "all tools" or "parallel", or else the first. After the results of tools comes text, unless a call is
/// demanded.
pub(super) fn calls(request: &Request, seed: Seed) -> Option<Vec<Call>> {
    let tools: Vec<_> = request.tools.as_deref().unwrap_or_default().iter().filter_map(Tool::read).collect();
    let chosen = match request.tool_choice.as_ref() {
        Some(Value::String(none)) if none == "none" => return None,
        Some(named @ Value::Object(_)) => by_choice(&tools, named),
        choice => {
            let demanded = choice.and_then(Value::as_str) == Some("required");
            if !demanded && !request.tool_results().is_empty() {
                return None;
            }
            by_prompt(&tools, &request.prompt())
        }
    };
    let most = if request.parallel_tool_calls == Some(false) { 1 } else { usize::MAX };
    let calls: Vec<_> =
        chosen.into_iter().take(most).zip(0..).map(|(tool, at)| tool.call(seed.part(at))).collect();
    (!calls.is_empty()).then_some(calls)
}

struct Tool<'a> {
    name: &'a str,
    parameters: &'a Value,
    custom: bool,
}

impl<'a> Tool<'a> {
    /// Tools that a vendor runs itself are not simulated.
    fn read(tool: &'a Value) -> Option<Self> {
        let kind = tool["type"].as_str().unwrap_or("function");
        let body = match kind {
            "function" | "custom" => &tool[kind],
            _ => return None,
        };
        Some(Self { name: body["name"].as_str()?, parameters: &body["parameters"], custom: kind == "custom" })
    }

    fn call(&self, mut seed: Seed) -> Call {
        let arguments = if self.custom {
            format!("simulated input for {}", self.name)
        } else if self.parameters.is_null() {
            "{}".to_owned()
        } else {
            schema::instance(self.parameters).to_string()
        };
        let id = format!("call_simulated_{:012x}", seed.next() >> 16);
        Call { id, name: self.name.to_owned(), arguments, custom: self.custom }
    }
}

/// `{"type":"function","function":{"name"}}`, or the list of `allowed_tools`.
fn by_choice<'t, 'a>(tools: &'t [Tool<'a>], choice: &Value) -> Vec<&'t Tool<'a>> {
    let name = |choice: &Value| {
        let name = choice["function"]["name"].as_str().or_else(|| choice["custom"]["name"].as_str());
        name.map(str::to_owned)
    };
    let allowed: Vec<_> = match choice["allowed_tools"]["tools"].as_array() {
        Some(allowed) => allowed.iter().filter_map(name).collect(),
        None => name(choice).into_iter().collect(),
    };
    tools.iter().filter(|tool| allowed.iter().any(|name| name == tool.name)).take(1).collect()
}

fn by_prompt<'t, 'a>(tools: &'t [Tool<'a>], prompt: &str) -> Vec<&'t Tool<'a>> {
    let prompt = prompt.to_lowercase();
    if ["all tools", "every tool", "each tool", "parallel"].iter().any(|phrase| prompt.contains(phrase)) {
        return tools.iter().collect();
    }
    let named: Vec<_> = tools.iter().filter(|tool| prompt.contains(&tool.name.to_lowercase())).collect();
    if named.is_empty() { tools.iter().take(1).collect() } else { named }
}
