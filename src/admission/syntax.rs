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
pub(crate) fn amount(node: &Node<'_>) -> Option<Quantity> {
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

/// Whether a text is a constraint on versions as Gardener reads it: `>= 1.30, < 1.34 || ~1.36`, `1.32.x`, `1.30 - 1.32`.
pub(crate) fn is_constraint(text: &str) -> bool {
    text.split("||").all(|part| terms(part).is_some())
}

/// Reads comparisons one after the other; none if something else is among them.
fn terms(text: &str) -> Option<()> {
    let mut rest = text.trim_start();
    loop {
        let operator = ["=>", ">=", "=<", "<=", "!=", "~>", "=", ">", "<", "~", "^"].into_iter().find(|op| rest.starts_with(op));
        rest = operator.and_then(|op| rest.strip_prefix(op)).unwrap_or(rest).trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
        let (version, after) = rest.split_at(end);
        is_partial_version(version).then_some(())?;
        rest = after.trim_start_matches(char::is_whitespace);
        rest = rest.strip_prefix(',').or_else(|| rest.strip_prefix("- ")).unwrap_or(rest).trim_start();
        if rest.is_empty() {
            return after.trim().is_empty().then_some(());
        }
    }
}

/// A version in which numbers may be missing, or be `x` or `*`.
fn is_partial_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (numbers, release) = text.split_once('-').map_or((text, None), |(text, release)| (text, Some(release)));
    let parts: Vec<&str> = numbers.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*'));
    let words = |text: &str| text.split('.').all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    parts.len() <= 3 && parts.iter().all(number) && release.is_none_or(words) && build.is_none_or(words)
}

/// Whether the first block of a text in PEM is a certificate.
pub(super) fn is_certificate(text: &[u8]) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(text) else { return false };
    pem.label == "CERTIFICATE" && pem.parse_x509().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_on_versions() {
        for fine in [">= 1.30", "~1.32", "1.32.x", ">= 1.30, < 1.40", ">1.30 <1.33 || ^2", "1.30 - 1.32", "*"] {
            assert!(is_constraint(fine), "{fine}");
        }
        for wrong in ["", "foo", ">=", ">= 1.30,", "1.2.3.4", "UPPER_case!", "1.30 ||"] {
            assert!(!is_constraint(wrong), "{wrong}");
        }
    }
}
