//! Measures in manifests: amounts, durations, percentages, and how Gardener spells the fields of maps that it looks into.

use super::node::Node;
use super::syntax;
use crate::value::Quantity;

/// The field of an entry of a map: Gardener joins keys like names of fields, whatever is in them.
pub(crate) fn child(map: &Node<'_>, key: &str) -> String {
    if key.is_empty() { format!("{}[]", map.field()) } else { format!("{}.{key}", map.field()) }
}

/// An amount: quantities are texts, but numbers are accepted, too.
pub(crate) fn amount(node: &Node<'_>) -> Option<Quantity> {
    match node.value()? {
        serde_json::Value::String(text) => text.parse().ok(),
        serde_json::Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Whether something is an amount below zero.
pub(crate) fn is_negative(node: &Node<'_>) -> bool {
    amount(node).is_some_and(Quantity::is_negative)
}

/// A duration in seconds.
pub(crate) fn seconds(node: &Node<'_>) -> Option<f64> {
    syntax::duration(node.text()?)
}

/// A number, whole or not.
pub(crate) fn number(node: &Node<'_>) -> Option<f64> {
    node.value()?.as_f64()
}

/// The number before the sign of a percentage such as `25%`.
pub(crate) fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%').filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some(digits.parse().unwrap_or(i64::MAX))
}

/// Whether a resource is counted in whole pieces.
pub(crate) fn is_counted(resource: &str) -> bool {
    const COUNTED: [&str; 10] = [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
        "ephemeralcontainers",
    ];
    COUNTED.contains(&resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_digits_and_a_sign() {
        assert_eq!(percent("25%"), Some(25));
        for wrong in ["25", "%", "-1%", "5.5%", "5 %", "+5%"] {
            assert_eq!(percent(wrong), None, "{wrong}");
        }
    }
}
