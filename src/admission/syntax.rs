//! What texts in manifests must look like: names, labels, amounts, durations, schedules. Thin functions that say why not.

use std::cmp::Ordering;

use super::node::Node;
use crate::value::{Cron, Quantity, name};

/// A DNS label (RFC 1123): at most 63 lower-case letters, digits and inner hyphens.
pub(crate) fn label(text: &str) -> Result<(), String> {
    name::dns1123_label(text).map_err(|_| explained(text, 63, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
}

/// A DNS name (RFC 1123): labels joined by dots, at most 253 characters.
pub(crate) fn subdomain(text: &str) -> Result<(), String> {
    name::dns1123_subdomain(text)
        .map_err(|_| explained(text, 253, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.')))
}

/// A label key: a name, with a DNS name and a slash before it where it is somebody's own.
pub(crate) fn label_key(text: &str) -> Result<(), String> {
    name::label_key(text).map_err(|_| explained(text, 317, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')))
}

/// A label value: at most 63 letters, digits, hyphens, dots and underscores; may be empty.
pub(crate) fn label_value(text: &str) -> Result<(), String> {
    name::label_value(text).map_err(|_| explained(text, 63, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
}

/// What exactly a text does wrong, in fewer words than the rule has.
fn explained(text: &str, most: usize, possible: impl Fn(char) -> bool) -> String {
    if text.is_empty() {
        return "it is empty".to_owned();
    }
    if text.len() > most {
        return format!("it has more than {most} characters");
    }
    match text.chars().find(|c| !possible(*c)) {
        Some(wrong) => format!("`{wrong}` is not possible in it"),
        None => "a part of it is empty or too long, or begins or ends with neither letter nor digit".to_owned(),
    }
}

/// How two amounts compare; `None` unless both can be read.
pub(crate) fn compare(a: &Node<'_>, b: &Node<'_>) -> Option<Ordering> {
    Some(amount(a)?.cmp(&amount(b)?))
}

/// Whether an amount is there and can be read, and is not negative.
pub(crate) fn is_amount(node: &Node<'_>) -> bool {
    amount(node).is_some_and(|a| !a.is_negative())
}

/// An amount: quantities are texts, but whole numbers are accepted, too.
fn amount(node: &Node<'_>) -> Option<Quantity> {
    node.text().map(str::to_owned).or_else(|| node.int().map(|n| n.to_string())).and_then(|text| text.parse().ok())
}

/// A cron expression of five fields.
pub(crate) fn cron(text: &str) -> Result<(), String> {
    Cron::new(text, "UTC").map(drop)
}

/// Whether a name is that of a time zone.
pub(crate) fn is_zone(name: &str) -> bool {
    Cron::new("0 0 * * *", name).is_ok()
}

/// A duration the way Go writes it (`1h30m`), in seconds.
pub(crate) fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if rest == "0" {
        return Some(0.0);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    (!text.is_empty()).then_some(sign * seconds)
}
