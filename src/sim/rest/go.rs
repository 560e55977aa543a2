//! What Go's decoder says of JSON.

use serde_json::Value;

/// A kind of value, as Go's decoder names it.
pub(super) fn go(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What Go's decoder says of text that is not JSON.
pub(super) fn json_error(text: &[u8], error: &serde_json::Error) -> String {
    let trimmed = text.trim_ascii();
    let Some(first) = trimmed.first() else { return "unexpected end of JSON input".to_owned() };
    for word in ["true", "false", "null"] {
        let word = word.as_bytes();
        if word[0] == *first {
            let same = word.iter().zip(trimmed).take_while(|(a, b)| a == b).count();
            if let (Some(wanted), Some(given)) = (word.get(same), trimmed.get(same)) {
                let (wanted, given, word) = (char::from(*wanted), char::from(*given), String::from_utf8_lossy(word));
                return format!("invalid character '{given}' in literal {word} (expecting '{wanted}')");
            }
        }
    }
    if matches!(first, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9') {
        return if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
    }
    format!("invalid character '{}' looking for beginning of value", char::from(*first))
}
