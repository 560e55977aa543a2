//! Servers quote in their messages what was sent to them. Before a message leaves this ring, what may be secret is cut out.

use crate::observed::ObjectKey;

/// Longer messages are cut here.
const MAX: usize = 1000;
/// A quoted run of this many characters without a space looks like key material.
const LONG_WORD: usize = 40;
const CUT: &str = "…";

/// A message about an object, safe to print: for Secrets nothing quoted survives but the object's own name; for other kinds
/// only what looks like key material goes.
#[must_use]
pub fn redact(key: &ObjectKey, message: &str) -> String {
    let secret = key.kind == "Secret" && key.group.is_empty();
    let mut out = String::with_capacity(message.len().min(MAX));
    let mut rest = message;
    while let Some(at) = rest.find(['"', '`', '\'']) {
        let (before, from) = rest.split_at(at);
        push_plain(&mut out, before, secret);
        let quote = from.chars().next().unwrap_or('"');
        let (inside, after) = quoted(&from[quote.len_utf8()..], quote);
        let keep =
            if secret { inside == key.name || inside == key.namespace || inside == key.kind } else { !looks_secret(inside) };
        out.push(quote);
        out.push_str(if keep { inside } else { CUT });
        out.push(quote);
        rest = after;
    }
    push_plain(&mut out, rest, secret);
    if out.chars().count() > MAX {
        out = out.chars().take(MAX).collect();
        out.push_str(CUT);
    }
    out
}

/// The text up to the closing quote (a backslash escapes it), and what follows; all of it if the quote is never closed.
fn quoted(text: &str, quote: char) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return (&text[..at], &text[at + quote.len_utf8()..]),
            _ => {}
        }
    }
    (text, "")
}

/// Text outside quotes: words, but structures may be printed there too (`map[string]string{...}`).
fn push_plain(out: &mut String, text: &str, secret: bool) {
    let mut depth = 0_usize;
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "{}[]".contains(c)) {
        let body = word.trim_end_matches(|c: char| c.is_whitespace() || "{}[]".contains(c));
        let end = &word[body.len()..];
        let keep = !looks_secret(body) && (!secret || depth == 0);
        out.push_str(if keep || body.is_empty() { body } else { CUT });
        out.push_str(end);
        depth = (depth + end.matches(['{', '[']).count()).saturating_sub(end.matches(['}', ']']).count());
    }
}

/// PEM, or a long run without spaces that mixes letters and digits and is no path, URL or domain name.
fn looks_secret(text: &str) -> bool {
    if text.contains("-----BEGIN") || text.contains("PRIVATE KEY") {
        return true;
    }
    text.split(|c: char| c.is_whitespace() || ",;:()".contains(c)).any(|word| {
        word.len() >= LONG_WORD
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b))
            && word.bytes().any(|b| b.is_ascii_digit())
            && word.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, message: &str, expected: &str) {
        assert_eq!(redact(&ObjectKey::new("", kind, "ns", "the-name"), message), expected);
    }

    #[test]
    fn nothing_quoted_of_a_secret_survives() {
        check(
            "Secret",
            r#"Secret "the-name" is invalid: data[key]: Invalid value: "hunter2 and \"more\"": too long"#,
            r#"Secret "the-name" is invalid: data[…]: Invalid value: "…": too long"#,
        );
        check("Secret", "field is immutable when `immutable` is set", "field is immutable when `…` is set");
        check("Secret", "bad map[string]string{password:abc}", "bad map[…]string{…}");
        check("Secret", r#"never closed "hunter2"#, r#"never closed "…""#);
    }

    #[test]
    fn other_kinds_keep_what_helps_and_lose_key_material() {
        let helpful = r#"Deployment.apps "x" is invalid: spec.replicas: Invalid value: "many": must be an integer"#;
        check("Deployment", helpful, helpful);
        let pem = "Invalid value: \"-----BEGIN EC PRIVATE KEY-----\\nabc\"";
        check("ConfigMap", pem, "Invalid value: \"…\"");
        check("ConfigMap", &format!("token {}1 refused", "a".repeat(50)), "token … refused");
        let host = "dial api.a-long-name-of-a-landscape.with.many.labels.example1.org";
        check("Service", host, host);
    }

    #[test]
    fn long_messages_are_cut() {
        assert!(redact(&ObjectKey::new("", "Pod", "", "x"), &"ab ".repeat(5000)).chars().count() <= MAX + 1);
    }
}
