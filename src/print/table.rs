//! Tables as kubectl prints them: padded columns, three spaces between, no borders. Nothing is ever cut.

/// Rows below a head; no head if `headers` is false. Columns that are empty in every row keep their head.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>], headers: bool) -> String {
    let head: Vec<String> = head.iter().map(|&h| h.to_owned()).collect();
    let all: Vec<&Vec<String>> = headers.then_some(&head).into_iter().chain(rows).collect();
    let mut widths = vec![0; head.len()];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row.iter()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in all {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 3));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A text that somebody else wrote as a line of at most so many characters, harmless to a terminal.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    let text = text.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
    if text.chars().count() <= most { text } else { text.chars().take(most.saturating_sub(1)).chain(['…']).collect() }
}

/// `1 problem`, `2 problems`.
#[must_use]
pub fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// How long ago, as kubectl says it: `45s`, `12m`, `5h`, `3d`.
#[must_use]
pub fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
