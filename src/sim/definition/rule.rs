//! Whether the rules of a schema (`x-kubernetes-validations`) compile: as CEL, and against the fields that the schema has.
//!
//! Kubernetes checks the types of whole expressions when a definition comes. Here it is what people get wrong: text that is no CEL,
//! and fields of `self` that are not there.

use std::collections::BTreeSet;

use kube_cel::cel::Program;
use serde_json::Value;

use super::text;
use crate::sim::error::Cause;

/// The rules of one schema, each with its place.
fn rules<'a>(schema: &'a Value, path: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    rules.enumerate().map(move |(n, rule)| (format!("{path}.x-kubernetes-validations[{n}]"), rule))
}

/// What is wrong with the rules of one schema before they are compiled.
pub(super) fn check(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (at, rule) in rules(schema, path) {
        if text(rule, "/rule").contains(['\n', '\r']) && text(rule, "/message").is_empty() {
            causes.push(Cause::required(&format!("{at}.message"), "message must be specified if rule contains line breaks"));
        }
    }
}

/// What is wrong with the rules of a schema and of those below it; `root` is the schema of a whole object.
pub(super) fn compile(schema: &Value, path: &str, root: bool, causes: &mut Vec<Cause>) {
    for (at, rule) in rules(schema, path) {
        let source = text(rule, "/rule");
        let errors = match Program::compile(source) {
            Ok(program) => {
                let mut errors = unknown_fields(schema, source, root);
                let declared = declared(source);
                let used = program.references();
                errors.extend(
                    used.variables().iter().filter(|name| !declared.contains(*name)).filter_map(|name| undeclared(source, name)),
                );
                errors.sort_by_key(|(at, _)| *at);
                errors.into_iter().map(|(at, what)| format!("ERROR: <input>:{}", shown(source, at, &what))).collect()
            }
            Err(error) => vec![format!("ERROR: <input>: Syntax error: {error}")],
        };
        if !errors.is_empty() {
            let message = format!("Invalid value: {}: compilation failed: {}", as_in_go(rule), errors.join("\n"));
            causes.push(Cause { reason: "FieldValueInvalid", field: format!("{at}.rule"), message });
        }
    }
    for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        compile(below, &format!("{path}.properties[{name}]"), false, causes);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(below) = schema.get(name) {
            compile(below, &format!("{path}.{name}"), false, causes);
        }
    }
}

/// A rule as the real server prints it in a refusal.
fn as_in_go(rule: &Value) -> String {
    let quoted = |field: &str| {
        let text = Value::from(text(rule, &format!("/{field}"))).to_string();
        text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
    };
    let or_null = |field: &str| rule.get(field).unwrap_or(&Value::Null).to_string();
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}",
        quoted("rule"),
        quoted("message"),
        quoted("messageExpression"),
        or_null("reason"),
        quoted("fieldPath"),
        or_null("optionalOldSelf"),
    )
}

/// The variables that macros give: the names after `all(`, `map(` and the like, two of them where there may be two.
fn declared(source: &str) -> BTreeSet<&str> {
    const MACROS: [&str; 10] = [
        "all",
        "bind",
        "exists",
        "exists_one",
        "existsOne",
        "filter",
        "map",
        "transformList",
        "transformMap",
        "transformMapEntry",
    ];
    let mut names = BTreeSet::from(["self", "oldSelf"]);
    for (open, _) in source.match_indices('(') {
        let before = source[..open].rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
        if MACROS.contains(&&source[before..open]) {
            let mut parts = source[open + 1..].split(',').map(str::trim);
            names.extend(parts.next());
            names.extend(parts.next().filter(|part| !part.is_empty() && part.chars().all(is_word)));
        }
    }
    names
}

/// A variable that no rule has, and where it is; the first word of a function's name is none.
fn undeclared(source: &str, name: &str) -> Option<(usize, String)> {
    let whole = |at: &usize| {
        let (before, after) = (source[..*at].chars().next_back(), &source[at + name.len()..]);
        let function = after.strip_prefix('.').is_some_and(|rest| rest[word(rest).len()..].starts_with('('));
        before.is_none_or(|c| !is_word(c) && c != '.') && !after.starts_with(is_word) && !function
    };
    let at = source.match_indices(name).map(|(at, _)| at).find(whole)?;
    Some((at, format!("undeclared reference to '{name}' (in container '')")))
}

/// Fields of `self` and `oldSelf` that an expression selects and the schema has not, and where.
fn unknown_fields(schema: &Value, source: &str, root: bool) -> Vec<(usize, String)> {
    let mut errors = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let Some(first) = rest.chars().next() else { break };
        if matches!(first, '"' | '\'') {
            at += literal(rest, first);
        } else if is_word(first) {
            let word = word(rest);
            let member = source[..at].trim_end().ends_with('.');
            at += word.len();
            if !member && matches!(word, "self" | "oldSelf") {
                at = follow(schema, source, at, root, &mut errors);
            }
        } else {
            at += first.len_utf8();
        }
    }
    errors
}

/// Follows `.a.b` from a place in an expression through the schema; where the expression goes on.
fn follow(schema: &Value, source: &str, mut at: usize, root: bool, errors: &mut Vec<(usize, String)>) -> usize {
    // A question whether something is there is blamed as a whole.
    let asked = source[..at].rfind(|c| !is_word(c)).filter(|open| source[..=*open].ends_with("has("));
    let (mut schema, mut root) = (schema, root);
    while let Some(name) = source[at..].strip_prefix('.').map(word).filter(|name| !name.is_empty()) {
        let after = at + 1 + name.len();
        let open = ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"]
            .iter()
            .any(|flag| schema.get(*flag) == Some(&Value::Bool(true)));
        // A call is a function of the value, and what a schema leaves open may be there.
        let Some(fields) = schema.get("properties").and_then(Value::as_object).filter(|_| !open) else { return after };
        if source[after..].starts_with('(') || (root && matches!(name, "apiVersion" | "kind" | "metadata")) {
            return after;
        }
        let Some(below) = fields.iter().find(|(field, _)| **field == name || escaped(field) == name) else {
            let question = asked.filter(|_| source[after..].trim_start().starts_with(')'));
            errors.push((question.unwrap_or(at), format!("undefined field '{name}'")));
            return after;
        };
        (schema, root, at) = (below.1, false, after);
    }
    at
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// How long the text in quotes is that begins here.
fn literal(text: &str, quote: char) -> usize {
    let mut escape = false;
    for (n, c) in text.char_indices().skip(1) {
        match c {
            _ if escape => escape = false,
            '\\' => escape = true,
            _ if c == quote => return n + 1,
            _ => {}
        }
    }
    text.len()
}

/// How CEL spells a field whose name is no identifier, or is a word of CEL itself.
fn escaped(field: &str) -> String {
    const RESERVED: [&str; 18] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
    ];
    if RESERVED.contains(&field) {
        return format!("__{field}__");
    }
    let escaped = field.replace("__", "__underscores__");
    escaped.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

/// `LINE:COLUMN: what is wrong`, with the line and a mark below the place.
fn shown(source: &str, at: usize, what: &str) -> String {
    let begin = source[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = source[..at].matches('\n').count() + 1;
    let column = source[begin..at].chars().count();
    let text = source[begin..].lines().next().unwrap_or_default();
    format!("{line}:{}: {what}\n | {text}\n | {}^", column + 1, ".".repeat(column))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(rule: &str) -> Vec<String> {
        let schema = json!({
            "type": "object", "x-kubernetes-validations": [{"rule": rule, "message": "m"}],
            "properties": {
                "a": {"type": "string"}, "a-b": {"type": "string"}, "namespace": {"type": "string"}, "m": {"type": "object"},
                "o": {"type": "object", "properties": {"b": {"type": "string"}}},
                "l": {"type": "array", "items": {"type": "string"}},
            },
        });
        let mut causes = Vec::new();
        check(&schema, "s", &mut causes);
        compile(&schema, "s", true, &mut causes);
        causes.iter().map(|cause| cause.message.split_once("compilation failed: ").expect("so it begins").1.to_owned()).collect()
    }

    #[test]
    fn fields_that_are_there_compile() {
        for rule in [
            "self.a == 'self.nowhere'",
            "self.a__dash__b == self.__namespace__",
            "has(self.o.b) && self.l.all(x, x.size() > 1)",
            "self.m.anything == 1",
            "self.metadata.name == self.kind",
            "oldSelf.a == self.a || [self].exists(self_, self_.x)",
            "self.m.transformMap(k, v, k + v).size() > 0 && sets.contains([self.a], ['x'])",
        ] {
            assert_eq!(said(rule), [""; 0], "{rule}");
        }
    }

    #[test]
    fn others_are_shown() {
        assert_eq!(
            said("self.a == oldSelf.b"),
            ["ERROR: <input>:1:18: undefined field 'b'\n | self.a == oldSelf.b\n | .................^"]
        );
        assert_eq!(said("true &&\n self.o.c"), ["ERROR: <input>:2:8: undefined field 'c'\n |  self.o.c\n | .......^"]);
        assert_eq!(said("self.o.c || self.d")[0].matches("ERROR").count(), 2);
        assert_eq!(
            said("has(self.x) && y > size(self.a)"),
            ["ERROR: <input>:1:4: undefined field 'x'\n | has(self.x) && y > size(self.a)\n | ...^\n\
             ERROR: <input>:1:16: undeclared reference to 'y' (in container '')\n | has(self.x) && y > size(self.a)\n | ...............^"]
        );
        assert!(said("self.a ==")[0].starts_with("ERROR: <input>: Syntax error: "));
    }
}
