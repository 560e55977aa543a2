//! A plan as the comment on a pull request (`ux/ci` §3): worst first, what is equal folded, never longer than the forge takes, and
//! nothing of what people wrote is markup.

use std::collections::BTreeMap;

use super::Preview;
use super::document::{Action, FieldChange, Moment, Object, Plan};
use super::text::{nodes, range, shown};
use crate::finding::Finding;
use crate::landscape::Kind;
use crate::plan::guard::Breach;
use crate::plan::impact::Mark;
use crate::plan::revert::Revert;
use crate::print::table::count;

/// Nine tenths of what GitHub takes in a comment, in characters or bytes, whichever are more.
pub const LIMIT: usize = 65_536 / 10 * 9;
/// A cell of a table, in characters.
const CELL: usize = 200;
/// So many equal rows are told as one.
const FOLD: usize = 4;
/// So many errors and guards that belong to no object are told.
const TROUBLES: usize = 10;

/// What a forge makes of Markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// HTML within Markdown is HTML, as GitHub, GitLab and Gitea have it.
    Html,
    /// HTML is shown as text, as Bitbucket does: nothing folds away, and what is hidden is a link that nothing refers to.
    Plain,
}

/// The comment on GitHub, of at most `limit` characters and bytes.
#[must_use]
pub fn markdown(preview: &Preview, limit: usize) -> String {
    comment(&Plan::from(preview), limit, Dialect::Html)
}

/// The line that a comment about a landscape begins with and is found by; readers do not see it.
#[must_use]
pub fn marker(landscape: &str, dialect: Dialect) -> String {
    let name: String = landscape.chars().take(CELL).collect();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.', "_");
    match dialect {
        Dialect::Html => format!("<!-- espalier:plan:{name}:v1 -->"),
        Dialect::Plain => format!("[//]: # (espalier:plan:{name}:v1)"),
    }
}

/// The comment in a dialect, of at most `limit` characters and bytes.
#[must_use]
pub fn comment(plan: &Plan, limit: usize, dialect: Dialect) -> String {
    let name = plan.landscape.as_str();
    let marker = match dialect {
        Dialect::Html => format!("{}\n", marker(name, dialect)),
        Dialect::Plain => format!("{}\n\n", marker(name, dialect)),
    };
    if plan.is_empty() {
        return format!("{marker}No effect on {}.\n", code(name));
    }
    let foot = format!(
        "\nPlanned {} → {} · the same on your machine: {}\n",
        code(&plan.from),
        code(&plan.to),
        code(&format!("espalier plan --from {} --to {}", plan.from, plan.to))
    );
    // Forges count characters or bytes; bytes are never fewer.
    let room = |out: &str| limit.saturating_sub(out.len() + foot.len() + 64);
    let mut out = format!("{marker}{}", header(plan));
    let counts = counts(plan);
    out.push_str(&troubles(plan, room(&out).saturating_sub(counts.len())));
    out.push_str(&counts);
    let rows = rows(plan, dialect);
    let mut left = rows.len();
    if left > 0 {
        out.push_str("\n| Object | Purpose | Change | Marks | When | Revert |\n|---|---|---|---|---|---|\n");
    }
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

fn header(plan: &Plan) -> String {
    let summary = &plan.summary;
    let mut words = vec![format!("### espalier plan · {}", code(&plan.landscape))];
    if summary.worst > Mark::None {
        words.push(format!("{}{}", if summary.worst.warns() { "⚠️ " } else { "" }, summary.worst.word()));
    }
    if summary.replaced.clusters > 0 {
        words.push(format!("replaces {} nodes", range(summary.replaced.minimum, summary.replaced.maximum)));
    }
    for action in [Action::Blocked, Action::Held] {
        if plan.counted(action) > 0 {
            words.push(format!("{} {}", plan.counted(action), action.word()));
        }
    }
    format!("{}\n", words.join(" · "))
}

/// Errors that belong to no object come first, without which the rest may not be what it seems; then guards that refuse all of it.
fn troubles(plan: &Plan, room: usize) -> String {
    let mut out = String::new();
    let mut left = plan.findings.len() + plan.guards.len();
    let finding = |finding: &Finding| {
        let at = finding.places.first().map(|place| format!(" {}", code(&place.to_string()))).unwrap_or_default();
        format!("\n- **{}**{at}: {}", cut(&plain(finding.code.as_str())), cut(&plain(&finding.message)))
    };
    let guard = |breach: &Breach| format!("\n- **refused**: {}; {}", cut(&plain(&breach.message)), cut(&plain(&breach.help)));
    for line in plan.findings.iter().map(finding).chain(plan.guards.iter().map(guard)).take(TROUBLES) {
        if out.len() + line.len() + 64 > room {
            break;
        }
        out.push_str(&line);
        left -= 1;
    }
    if left > 0 {
        out.push_str(&format!("\n- {} more in the full plan", count(left, "problem")));
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn counts(plan: &Plan) -> String {
    let mut out = "\n| | create | update | delete | blocked | held |\n|---|---|---|---|---|---|\n".to_owned();
    for (what, shoots) in [("shoots", true), ("other", false)] {
        let of = |action: Action| {
            let objects = plan.objects.iter().filter(|object| (object.owner.kind == Kind::Shoot) == shoots);
            objects.filter(|object| object.action == action).count()
        };
        let all = [Action::Create, Action::Update, Action::Delete, Action::Blocked, Action::Held];
        out.push_str(&format!("| {what} | {} |\n", all.map(|action| of(action).to_string()).join(" | ")));
    }
    out
}

struct Row {
    line: String,
    details: String,
}

/// The rows: worst first, production before the rest, then by name; many equal ones as one.
fn rows(plan: &Plan, dialect: Dialect) -> Vec<Row> {
    let mut items: Vec<&Object> = plan.objects.iter().collect();
    let production = |item: &Object| item.about.starts_with("production");
    items.sort_by_key(|item| (std::cmp::Reverse(severity(item)), !production(item), &item.owner));
    let keyed: Vec<(&Object, ([String; 4], String))> = items.into_iter().map(|item| (item, (cells(item), whole(item)))).collect();
    let mut equal: BTreeMap<&([String; 4], String), Vec<&Object>> = BTreeMap::new();
    for (item, key) in &keyed {
        equal.entry(key).or_default().push(item);
    }
    let mut rows = Vec::new();
    for (item, key) in &keyed {
        let Some(alike) = equal.get(key) else { continue };
        let several = alike.len() >= FOLD;
        let what = if several { format!("**{}**", count(alike.len(), "object")) } else { code(&named(item)) };
        let purpose = item.about.split(" · ").next().filter(|_| item.owner.kind == Kind::Shoot && !several);
        let line = format!("| {what} | {} | {} |\n", cut(&plain(purpose.unwrap_or("–"))), key.0.join(" | "));
        let details = if several { list(alike, dialect) } else { details(item, dialect) };
        if several {
            equal.remove(key);
        }
        rows.push(Row { line, details });
    }
    rows
}

/// What a row is sorted by: what cannot be done is as bad as what is forbidden.
fn severity(item: &Object) -> Mark {
    match item.action {
        Action::Held | Action::Blocked => Mark::Forbidden,
        _ => item.worst,
    }
}

/// What changes, in full: what is cut may differ where nobody sees it.
fn whole(item: &Object) -> String {
    let values = item.changes.iter().map(|change| (&change.field, &change.before, &change.after));
    serde_json::to_string(&values.collect::<Vec<_>>()).unwrap_or_default()
}

fn named(item: &Object) -> String {
    if item.owner.kind == Kind::Shoot { item.owner.key() } else { item.owner.to_string() }
}

/// Change, marks, when, revert.
fn cells(item: &Object) -> [String; 4] {
    let mut marks: Vec<Mark> = item.impact().map(|impact| impact.mark).filter(|mark| *mark > Mark::None).collect();
    marks.extend(Some(item.worst).filter(|worst| *worst > Mark::None));
    marks.sort_by_key(|mark| std::cmp::Reverse(*mark));
    marks.dedup();
    let marks = marks.iter().map(|mark| if mark.warns() { format!("**{}**", mark.word()) } else { mark.word().to_owned() });
    let change = match item.action {
        Action::Create => "new".to_owned(),
        Action::Delete => "goes".to_owned(),
        Action::Unchanged => "as it was; rendered otherwise".to_owned(),
        Action::Blocked => format!("stays: {}", plain(item.why.as_deref().unwrap_or_default())),
        Action::Held => {
            format!("stays: {}", item.findings.iter().map(|f| plain(&f.message)).collect::<Vec<_>>().join("; "))
        }
        Action::Update => {
            let change = |change: &FieldChange| {
                let (before, after) = (shown(change.before.as_ref()), shown(change.after.as_ref()));
                plain(&format!("{} {before} → {after}", change.field))
            };
            item.changes.iter().map(change).collect::<Vec<_>>().join("; ")
        }
    };
    let revert = item.revert.as_ref().map_or("–", Revert::word).to_owned();
    let marks = marks.collect::<Vec<_>>().join(", ");
    [cut(&change), if marks.is_empty() { "–".to_owned() } else { marks }, when(item), revert]
}

/// When it is rolled out: for a window its modifier, as in the tree.
fn when(item: &Object) -> String {
    match (item.action, item.when, &item.window) {
        (Action::Held | Action::Blocked, ..) => "–".to_owned(),
        (_, Moment::Window, Some(window)) => {
            let begin = window.begin.as_str();
            let parts = [begin.get(..10), begin.get(11..16), begin.get(19..)];
            code(&format!("@window {}", parts.map(|part| part.unwrap_or("?")).join(" ")))
        }
        (_, Moment::NextReconcile, _) => "`@next-reconcile`".to_owned(),
        _ => "on merge".to_owned(),
    }
}

/// The names of what a folded row stands for.
fn list(items: &[&Object], dialect: Dialect) -> String {
    let names: Vec<String> = items.iter().map(|item| code(&named(item))).collect();
    folded(&count(items.len(), "object"), &format!("{}\n", names.join(", ")), dialect)
}

/// A block that is unfolded where the forge can fold.
fn folded(title: &str, body: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Html => format!("\n<details><summary>{title}</summary>\n\n{body}\n</details>\n"),
        Dialect::Plain => format!("\n{title}\n\n{body}"),
    }
}

/// What a reader unfolds: each field before and after with its place, its cost, and what is rendered otherwise.
fn details(item: &Object, dialect: Dialect) -> String {
    if item.changes.is_empty() {
        return String::new();
    }
    let mut lines = Vec::new();
    for FieldChange { field, before, after, at, impact, .. } in &item.changes {
        let marks: Vec<&str> = impact.iter().map(|i| i.mark.word()).filter(|word| *word != "none").collect();
        let remark = [visible(at.as_deref().unwrap_or_default()), marks.join(", ")].join("  ");
        let remark = if remark.trim().is_empty() { String::new() } else { format!("   # {}", remark.trim()) };
        let line = |sign: char, value| format!("{sign} {}: {}", visible(field), visible(&shown(value)));
        lines.extend(before.as_ref().map(|value| line('-', Some(value))));
        lines.extend(after.as_ref().map(|value| line('+', Some(value))));
        if let Some(last) = lines.last_mut() {
            last.push_str(&remark);
        }
    }
    let body = lines.join("\n");
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let mut after: Vec<String> = item.replaced().into_iter().map(|pool| format!("- {}\n", cut(&plain(&nodes(pool))))).collect();
    if item.components.is_some() {
        after.push(format!("- {} rendered otherwise\n", count(item.manifests(), "manifest")));
    }
    let (name, fields) = (cut(&plain(&named(item))), count(item.changes.len(), "field"));
    let title = match dialect {
        Dialect::Html => format!("<b>{name}</b> – {fields}"),
        Dialect::Plain => format!("**{name}** – {fields}"),
    };
    folded(&title, &format!("{fence}diff\n{body}\n{fence}\n{}", after.concat()), dialect)
}

/// Text of others as text: no mention, no link, no markup, no break of a table.
///
/// A character reference keeps Markdown from seeing a character, but forges look for mentions and references in what comes out of it;
/// these are broken by a space without width.
fn plain(text: &str) -> String {
    const BREAK: &str = "&#8203;";
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let joined = next.is_some_and(|next| !next.is_whitespace());
        match c {
            // `GH-12` is an issue.
            '-' if ends(&out, "gh") && next.is_some_and(|next| next.is_ascii_digit()) => {
                out.push_str(&format!("-{BREAK}"));
            }
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | ',' | ';' | '-' | '/' | '=' | '+' | '\'' | '"' | '?' | '(' | ')' => {
                out.push(c);
            }
            '@' | '#' | '!' | '$' | '%' | '&' | '~' | '^' if joined => out.push_str(&format!("&#{};{BREAK}", u32::from(c))),
            ':' if next == Some('/') => out.push_str(&format!("&#58;{BREAK}")),
            // `www.` and what follows would become a link.
            '.' if !ends(&out, "www") => out.push(c),
            c if c.is_ascii_graphic() => out.push_str(&format!("&#{};", u32::from(c))),
            c if c.is_alphanumeric() || matches!(c, '→' | '–' | '…' | '×' | '·') => out.push(c),
            c if c.is_whitespace() => out.push(' '),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

/// Whether a text ends in a word, in whatever case.
fn ends(text: &str, word: &str) -> bool {
    text.len().checked_sub(word.len()).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}

/// Whether a character is not seen, or moves what is.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

/// Text of others in a code span, where nothing is markup but a backtick and the end of a cell.
fn code(text: &str) -> String {
    let replaced = |c: char| if hidden(c) || matches!(c, '`' | '|') { '\u{fffd}' } else { c };
    let text: String = text.chars().map(replaced).take(CELL).collect();
    format!("`{text}`")
}

/// Text of others in a block of code, on one line.
fn visible(text: &str) -> String {
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).take(CELL).collect()
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
