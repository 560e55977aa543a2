//! A plan as the comment on a pull request (`ux/ci` §3): worst first, what is equal folded, never longer than the forge takes, and
//! nothing of what people wrote is markup.

use std::collections::BTreeMap;

use super::text::{nodes, range, shown};
use super::{Change, Consequence, Fate, Item, Preview};
use crate::landscape::Kind;
use crate::plan::impact::Mark;
use crate::plan::revert::Revert;
use crate::print::table::count;

/// Nine tenths of what GitHub takes in a comment, in characters or bytes, whichever are more.
pub const LIMIT: usize = 65_536 / 10 * 9;
/// A cell of a table, in characters.
const CELL: usize = 200;
/// So many equal rows are told as one.
const FOLD: usize = 4;

/// The comment, of at most `limit` characters and bytes.
#[must_use]
pub fn markdown(preview: &Preview, limit: usize) -> String {
    let name = preview.landscape.as_str();
    let marker = format!(
        "<!-- espalier:plan:{}:v1 -->\n",
        name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.', "_")
    );
    if preview.is_empty() {
        return format!("{marker}No effect on {}.\n", code(name));
    }
    let foot = format!(
        "\nPlanned {} → {} · the same on your machine: {}\n",
        code(&preview.from),
        code(&preview.to),
        code(&format!("espalier plan --from {} --to {}", preview.from, preview.to))
    );
    let mut out = format!("{marker}{}{}{}", header(preview), troubles(preview), counts(preview));
    let rows = rows(preview);
    // Forges count characters or bytes; bytes are never fewer.
    let room = |out: &str| limit.saturating_sub(out.len() + foot.len() + 64);
    out.push_str("\n| Object | Purpose | Change | Marks | When | Revert |\n|---|---|---|---|---|---|\n");
    let mut left = rows.len();
    for row in &rows {
        if row.line.len() > room(&out) {
            break;
        }
        out.push_str(&row.line);
        left -= 1;
    }
    if left > 0 {
        out.push_str(&format!("\n{} more in the full plan.\n", count(left, "row")));
    }
    let mut dropped = 0;
    for block in rows.iter().map(|row| &row.details).filter(|block| !block.is_empty()) {
        if block.len() > room(&out) {
            dropped += 1;
        } else {
            out.push_str(block);
        }
    }
    if dropped > 0 {
        out.push_str(&format!("\nDetails of {dropped} more in the full plan.\n"));
    }
    out + &foot
}

fn header(preview: &Preview) -> String {
    let worst = preview.worst();
    let mut words = vec![format!("### espalier plan · {}", code(&preview.landscape))];
    if worst > Mark::None {
        words.push(format!("{}{}", if worst.warns() { "⚠️ " } else { "" }, worst.word()));
    }
    let (least, most, clusters) = preview.replaced();
    if clusters > 0 {
        words.push(format!("replaces {} nodes", range(least, most)));
    }
    for word in ["blocked", "held"] {
        if preview.counted(word) > 0 {
            words.push(format!("{} {word}", preview.counted(word)));
        }
    }
    format!("{}\n", words.join(" · "))
}

/// Errors that belong to no object come first: without them the rest may not be what it seems.
fn troubles(preview: &Preview) -> String {
    let line = |finding: &crate::finding::Finding| {
        let at = finding.places.first().map(|place| format!(" {}", code(&place.to_string()))).unwrap_or_default();
        format!("- **{}**{at}: {}\n", plain(finding.code.as_str()), plain(&finding.message))
    };
    let all: String = preview.troubles.iter().take(10).map(line).collect();
    let guard =
        |breach: &crate::plan::guard::Breach| format!("- **refused**: {}; {}\n", plain(&breach.message), plain(&breach.help));
    let all = all + &preview.breaches.iter().take(10).map(guard).collect::<String>();
    if all.is_empty() { all } else { format!("\n{all}") }
}

fn counts(preview: &Preview) -> String {
    let mut out = "\n| | create | update | delete | blocked | held |\n|---|---|---|---|---|---|\n".to_owned();
    for (what, shoots) in [("shoots", true), ("other", false)] {
        let of = |word: &str| {
            let items = preview.items.iter().filter(|item| (item.owner.kind == Kind::Shoot) == shoots);
            items.filter(|item| item.fate.word() == word).count()
        };
        let cells = ["create", "update", "delete", "blocked", "held"].map(|word| of(word).to_string());
        out.push_str(&format!("| {what} | {} |\n", cells.join(" | ")));
    }
    out
}

struct Row {
    line: String,
    details: String,
}

/// The rows: worst first, production before the rest, then by name; many equal ones as one.
fn rows(preview: &Preview) -> Vec<Row> {
    let mut items: Vec<&Item> = preview.items.iter().collect();
    let production = |item: &Item| item.about.starts_with("production");
    items.sort_by_key(|item| (std::cmp::Reverse(severity(item)), !production(item), &item.owner));
    let keyed: Vec<(&Item, ([String; 4], String))> = items.into_iter().map(|item| (item, (cells(item), whole(item)))).collect();
    let mut equal: BTreeMap<&([String; 4], String), Vec<&Item>> = BTreeMap::new();
    for (item, key) in &keyed {
        equal.entry(key).or_default().push(item);
    }
    let mut rows = Vec::new();
    for (item, key) in &keyed {
        let Some(alike) = equal.get(key) else { continue };
        let several = alike.len() >= FOLD;
        let what = if several { format!("**{}**", count(alike.len(), "object")) } else { code(&named(item)) };
        let purpose = item.about.split(" · ").next().filter(|_| item.owner.kind == Kind::Shoot && !several);
        let line = format!("| {what} | {} | {} |\n", plain(purpose.unwrap_or("–")), key.0.join(" | "));
        let details = if several { list(alike) } else { details(item) };
        if several {
            equal.remove(key);
        }
        rows.push(Row { line, details });
    }
    rows
}

/// What a row is sorted by: what cannot be done is as bad as what is forbidden.
fn severity(item: &Item) -> Mark {
    match item.fate {
        Fate::Held(_) | Fate::Blocked(_) => Mark::Forbidden,
        _ => item.worst(),
    }
}

/// What changes, in full: what is cut may differ where nobody sees it.
fn whole(item: &Item) -> String {
    let values = item.changes.iter().map(|change| (&change.field.name, &change.field.before, &change.field.after));
    serde_json::to_string(&values.collect::<Vec<_>>()).unwrap_or_default()
}

fn named(item: &Item) -> String {
    if item.owner.kind == Kind::Shoot { item.owner.key() } else { item.owner.to_string() }
}

/// Change, marks, when, revert.
fn cells(item: &Item) -> [String; 4] {
    let mut marks: Vec<Mark> = item.impact().map(|impact| impact.mark).filter(|mark| *mark > Mark::None).collect();
    marks.extend(Some(item.worst()).filter(|worst| *worst > Mark::None));
    marks.sort_by_key(|mark| std::cmp::Reverse(*mark));
    marks.dedup();
    let marks = marks.iter().map(|mark| if mark.warns() { format!("**{}**", mark.word()) } else { mark.word().to_owned() });
    let change = match &item.fate {
        Fate::Created => "new".to_owned(),
        Fate::Deleted => "goes".to_owned(),
        Fate::Unchanged => "as it was; rendered otherwise".to_owned(),
        Fate::Blocked(why) => format!("stays: {}", plain(why)),
        Fate::Held(findings) => format!("stays: {}", findings.iter().map(|f| plain(&f.message)).collect::<Vec<_>>().join("; ")),
        Fate::Updated => {
            let change = |change: &Change| {
                let (before, after) = (shown(change.field.before.as_ref()), shown(change.field.after.as_ref()));
                plain(&format!("{} {before} → {after}", change.field.name))
            };
            item.changes.iter().map(change).collect::<Vec<_>>().join("; ")
        }
    };
    let revert = item.revert.as_ref().map_or("–", Revert::word).to_owned();
    let when = if matches!(item.fate, Fate::Held(_) | Fate::Blocked(_)) { "–" } else { "on merge" };
    let marks = marks.collect::<Vec<_>>().join(", ");
    [cut(&change), if marks.is_empty() { "–".to_owned() } else { marks }, when.to_owned(), revert]
}

/// The names of what a folded row stands for.
fn list(items: &[&Item]) -> String {
    let names: Vec<String> = items.iter().map(|item| code(&named(item))).collect();
    format!("\n<details><summary>{}</summary>\n\n{}\n\n</details>\n", count(items.len(), "object"), names.join(", "))
}

/// What a reader unfolds: each field before and after with its place, its cost, and what is rendered otherwise.
fn details(item: &Item) -> String {
    if item.changes.is_empty() {
        return String::new();
    }
    let mut lines = Vec::new();
    for Change { field, place, impact, .. } in &item.changes {
        let marks: Vec<&str> = impact.iter().map(|i| i.mark.word()).filter(|word| *word != "none").collect();
        let remark = [place.clone().unwrap_or_default(), marks.join(", ")].join("  ");
        let remark = if remark.trim().is_empty() { String::new() } else { format!("   # {}", remark.trim()) };
        let line = |sign: char, value| format!("{sign} {}: {}", field.name.escape_debug(), shown(value));
        lines.extend(field.before.as_ref().map(|value| line('-', Some(value))));
        lines.extend(field.after.as_ref().map(|value| line('+', Some(value))));
        if let Some(last) = lines.last_mut() {
            last.push_str(&remark);
        }
    }
    let body = lines.join("\n");
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let mut after: Vec<String> = item.replaced().into_iter().map(|pool| format!("- {}\n", plain(&nodes(pool)))).collect();
    if let Consequence::Rendered(components) = &item.consequence {
        let manifests: usize = components.values().map(BTreeMap::len).sum();
        after.push(format!("- {} rendered otherwise\n", count(manifests, "manifest")));
    }
    format!(
        "\n<details><summary><b>{}</b> – {}</summary>\n\n{fence}diff\n{body}\n{fence}\n{}\n</details>\n",
        plain(&named(item)),
        count(item.changes.len(), "field"),
        after.concat()
    )
}

/// Text of others as text: no mention, no link, no markup, no break of a table.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | ',' | ';' | '-' | '/' | '=' | '+' | '%' | '\'' | '"' | '?' | '(' | ')' => {
                out.push(c);
            }
            // `www.` and what follows would become a link.
            '.' if !out.to_ascii_lowercase().ends_with("www") => out.push(c),
            c if c.is_ascii_graphic() => out.push_str(&format!("&#{};", u32::from(c))),
            c if c.is_alphanumeric() || matches!(c, '→' | '–' | '…' | '×' | '·') => out.push(c),
            c if c.is_whitespace() => out.push(' '),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

/// Text of others in a code span, where nothing is markup but a backtick and the end of a cell.
fn code(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '`' | '|' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let text: String = text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).take(CELL).collect();
    format!("`{text}`")
}

/// A cell of bounded length. What is cut is cut between characters, not within an escaped one.
fn cut(text: &str) -> String {
    if text.chars().count() <= CELL {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(CELL).collect();
    if let Some(at) = short.rfind('&').filter(|at| !short[*at..].contains(';')) {
        short.truncate(at);
    }
    short + "…"
}
