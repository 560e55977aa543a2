//! A plan for machines: one document, or one line per object.

use serde_json::{Value, json};

use super::Preview;
use super::document::Plan;
use crate::print::json::API_VERSION;

/// The plan as a machine reads it.
#[must_use]
pub fn json(preview: &Preview) -> Value {
    serde_json::to_value(Plan::from(preview)).unwrap_or(Value::Null)
}

/// The same in lines: first what was compared, with the version; then each object and each finding that belongs to none; last the
/// summary. Each line says its `type`.
#[must_use]
pub fn jsonl(preview: &Preview) -> String {
    let Value::Object(mut plan) = json(preview) else { return String::new() };
    let mut take = |key: &str| plan.remove(key).unwrap_or(Value::Null);
    let (objects, findings, summary) = (take("objects"), take("findings"), take("summary"));
    plan.insert("type".into(), "plan".into());
    plan.insert("apiVersion".into(), API_VERSION.into());
    let mut lines = vec![Value::Object(plan)];
    for (word, list) in [("object", objects), ("finding", findings)] {
        lines.extend(list.as_array().into_iter().flatten().map(|one| json!({ "type": word, word: one })));
    }
    lines.push(json!({ "type": "summary", "summary": summary }));
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}
