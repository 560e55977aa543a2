//! What a plain scalar means, to us and to the YAML 1.1 readers around Kubernetes.
//!
//! `kubectl` reads YAML 1.1 with exceptions: `yes` is a boolean, `0777` octal, `1_000` a thousand; dates and `22:00` stay
//! strings. We read the common ground with JSON, and say where the two part.

use serde_json::{Number, Value};

/// The meaning of a plain scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain {
    /// One meaning for everybody.
    Clear(Value),
    /// A string here, and for kubectl the named type.
    Ambiguous(&'static str),
    /// A number that JSON does not have.
    Unrepresentable,
}

/// Resolves a plain scalar. Only strings that begin like a number, a word of the table or a sign can be anything but themselves.
pub(super) fn resolve(text: &str) -> Plain {
    let Some(&first) = text.as_bytes().first() else { return Plain::Clear(Value::Null) };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        _ => word(text),
    }
}

/// What kubectl reads, where a plain text is a string for us.
pub(super) fn of_kubectl(text: &str) -> Option<Value> {
    let Plain::Ambiguous(_) = resolve(text) else { return None };
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" => return Some(true.into()),
        "n" | "no" | "off" => return Some(false.into()),
        _ => {}
    }
    let bare: String = text.chars().filter(|c| *c != '_').collect();
    let (sign, unsigned) = bare.strip_prefix('-').map_or((1, bare.as_str()), |rest| (-1, rest));
    let unsigned = unsigned.strip_prefix('+').unwrap_or(unsigned);
    let octal = unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.bytes().all(|b| (b'0'..b'8').contains(&b));
    let whole = match radix(unsigned) {
        Some(radix) => i64::from_str_radix(&unsigned[2..], radix),
        None if octal => i64::from_str_radix(unsigned, 8),
        None => unsigned.parse(),
    };
    match whole {
        Ok(n) => Some((sign * n).into()),
        Err(_) => match float(&bare) {
            Plain::Clear(value) => Some(value),
            Plain::Ambiguous(_) | Plain::Unrepresentable => None,
        },
    }
}

/// Whether any reader, ours, kubectl's or an old YAML 1.1 one, takes this plain text for something else than a string.
pub(super) fn is_special(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => number(text) != Plain::Clear(Value::String(text.to_owned())) || is_legacy(text),
        None => true,
        Some(_) => is_word(text) || matches!(text, "=" | "<<"),
    }
}

/// Whether it is one of the words that are no strings, or not for everybody.
fn is_word(text: &str) -> bool {
    // None of them is longer.
    text.len() <= 5 && !matches!(word(text), Plain::Clear(Value::String(_)))
}

fn word(text: &str) -> Plain {
    match text {
        "~" | "null" | "Null" | "NULL" => Plain::Clear(Value::Null),
        "true" | "True" | "TRUE" => Plain::Clear(Value::Bool(true)),
        "false" | "False" | "FALSE" => Plain::Clear(Value::Bool(false)),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Plain::Ambiguous("a boolean")
        }
        _ => Plain::Clear(Value::String(text.to_owned())),
    }
}

fn number(text: &str) -> Plain {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Plain::Unrepresentable;
    }
    let string = || Plain::Clear(Value::String(text.to_owned()));
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return string();
    }
    if unsigned.contains('_') {
        let bare: String = text.chars().filter(|c| *c != '_').collect();
        return match number(&bare) {
            Plain::Clear(Value::String(_)) => string(),
            Plain::Clear(_) | Plain::Ambiguous(_) | Plain::Unrepresentable => Plain::Ambiguous("a number"),
        };
    }
    if let Some(radix) = radix(unsigned) {
        // YAML 1.2 has unsigned lower-case `0x` and `0o`; kubectl also takes signs, capitals and `0b`.
        let digits = &unsigned[2..];
        let known = unsigned.len() == text.len() && matches!(&unsigned[..2], "0x" | "0o");
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return string();
        }
        return match u64::from_str_radix(digits, radix) {
            Ok(n) if known => Plain::Clear(Value::from(n)),
            Ok(_) => Plain::Ambiguous("a number"),
            Err(_) => Plain::Unrepresentable,
        };
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Plain::Ambiguous(if unsigned.bytes().all(|b| b < b'8') { "an octal number" } else { "a number" });
        }
        let plain = text.strip_prefix('+').unwrap_or(text);
        return match (plain.parse::<i64>(), plain.parse::<u64>()) {
            (Ok(n), _) => Plain::Clear(Value::from(n)),
            (_, Ok(n)) => Plain::Clear(Value::from(n)),
            (Err(_), Err(_)) => Plain::Unrepresentable,
        };
    }
    if is_decimal(unsigned) { float(text) } else { string() }
}

fn radix(unsigned: &str) -> Option<u32> {
    match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => Some(16),
        [b'0', b'o' | b'O', ..] => Some(8),
        [b'0', b'b' | b'B', ..] => Some(2),
        _ => None,
    }
}

/// `[0-9]* [.] [0-9]* ([eE] [-+]? [0-9]+)?` with at least one digit before the exponent.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

/// A decimal as JSON has it: integral values become integers, as kubectl's conversion to JSON makes them.
fn float(text: &str) -> Plain {
    /// Integers below 2^53 are exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Ok(value) = text.parse::<f64>() else { return Plain::Unrepresentable };
    if value.fract() == 0.0 && value.abs() < EXACT {
        return match format!("{value:.0}").parse::<i64>() {
            Ok(n) => Plain::Clear(Value::from(n)),
            Err(_) => Plain::Unrepresentable,
        };
    }
    Number::from_f64(value).map_or(Plain::Unrepresentable, |n| Plain::Clear(Value::Number(n)))
}

/// A value as it would be read back: its numbers as plain scalars have them.
pub(super) fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => match resolve(&number.to_string()) {
            Plain::Clear(value) => value,
            Plain::Ambiguous(_) | Plain::Unrepresentable => value.clone(),
        },
        Value::Array(list) => list.iter().map(normal).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), normal(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What only old YAML 1.1 readers take for a number, date or merge: sexagesimals, dates, `=`, `<<`.
fn is_legacy(text: &str) -> bool {
    if matches!(text, "=" | "<<") {
        return true;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let sexagesimal = unsigned.contains(':') && unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'_'));
    let bytes = unsigned.as_bytes();
    let date = bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-' && bytes[5].is_ascii_digit();
    sexagesimal || date
}
