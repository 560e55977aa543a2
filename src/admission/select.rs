//! Label selectors.

use super::node::Node;

/// Whether a selector (`matchLabels`, `matchExpressions`) selects what has these labels; if not, why.
pub(crate) fn selects(selector: &Node<'_>, labels: &Node<'_>) -> Result<(), String> {
    for (key, wanted) in selector.get("matchLabels").entries() {
        if !labels.get(key).same(&wanted) {
            return Err(format!("its label `{key}` is {}, not {}", labels.get(key).shown(), wanted.shown()));
        }
    }
    for expression in selector.get("matchExpressions").items() {
        let (key, operator) = (expression.get("key").str(), expression.get("operator").str());
        let value = labels.get(key);
        let listed = expression.get("values").items().iter().any(|v| v.same(&value));
        if !holds(operator, value.is_set(), listed) {
            return Err(format!("its label `{key}` is {}, which `{operator}` does not allow", value.shown()));
        }
    }
    Ok(())
}

/// Whether an expression holds for a label that is there or not, and whose value is listed or not. What is no operator never does.
pub(crate) fn holds(operator: &str, there: bool, listed: bool) -> bool {
    match operator {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => there,
        "DoesNotExist" => !there,
        _ => false,
    }
}
