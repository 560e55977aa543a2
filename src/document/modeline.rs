//! The modeline: a comment that names the schema of a file to editors (yaml-language-server).

/// What begins one, after the mark of the comment.
const WORD: &str = "yaml-language-server:";
const SCHEMA: &str = "$schema=";

/// A text whose modeline is its first line and names `schema`, or what it named before if that is `None`; one that has none and
/// is given none stays as it is.
pub(super) fn place(text: &str, schema: Option<&str>) -> String {
    let (mark, body) = text.strip_prefix('\u{feff}').map_or(("", text), |body| ("\u{feff}", body));
    let newline = if body.find('\n').is_some_and(|at| body[..at].ends_with('\r')) { "\r\n" } else { "\n" };
    let mut at = 0;
    let mut in_head = true;
    for line in body.split_inclusive('\n') {
        let bare = line.trim();
        in_head &= bare.is_empty() || bare.starts_with('#');
        if let Some(named) = named(bare).filter(|_| line.starts_with('#')) {
            let new = format!("# {WORD} {SCHEMA}{}", schema.unwrap_or(named));
            let (before, after) = (&body[..at], &body[at + line.len()..]);
            let end = if line.ends_with('\n') { newline } else { "" };
            // Below a document marker it stays where the editor finds it.
            return if in_head && !end.is_empty() {
                format!("{mark}{new}{end}{before}{after}")
            } else {
                format!("{mark}{before}{new}{end}{after}")
            };
        }
        at += line.len();
    }
    match schema {
        Some(schema) => format!("{mark}# {WORD} {SCHEMA}{schema}{newline}{body}"),
        None => text.to_owned(),
    }
}

/// The schema that a comment names.
fn named(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('#')?.trim_start().strip_prefix(WORD)?;
    let named = rest.trim().strip_prefix(SCHEMA)?.trim();
    (!named.is_empty() && !named.contains(char::is_whitespace)).then_some(named)
}
