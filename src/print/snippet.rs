//! Findings as people read them: a line that `grep` and editors understand, the text that it is about, and what to do.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::finding::{Finding, Findings, Place, Severity, Span};
use crate::snapshot::RepoPath;

/// Lines shown before the one that is meant.
const BEFORE: usize = 2;

/// All findings, in their order. `text` gives the text of a file where it is at hand.
#[must_use]
pub fn findings(findings: &Findings, text: &dyn Fn(&RepoPath) -> Option<Arc<str>>, width: usize) -> String {
    let renderer = Renderer::styled().term_width(width);
    findings.iter().map(|finding| one(finding, text, &renderer)).collect()
}

/// The first line alone: `path:line:col: error[CODE]: message`.
#[must_use]
pub fn headline(finding: &Finding) -> String {
    let place = finding.places.first().map_or_else(String::new, |place| format!("{place}: "));
    let style = match finding.severity {
        Severity::Error => "\x1b[1;31m",
        Severity::Warning => "\x1b[1;33m",
        Severity::Note => "\x1b[1;32m",
    };
    format!("{place}{style}{}[{}]\x1b[0m: \x1b[1m{}\x1b[0m", finding.severity, finding.code, finding.message)
}

fn one(finding: &Finding, text: &dyn Fn(&RepoPath) -> Option<Arc<str>>, renderer: &Renderer) -> String {
    let mut out = headline(finding);
    out.push('\n');
    let mut group = Group::with_level(match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    });
    let mut drawn = false;
    let mut elsewhere = Vec::new();
    for (i, place) in finding.places.iter().enumerate() {
        match place.span.zip(text(&place.path)).and_then(|(span, text)| excerpt(&text, span)) {
            Some(excerpt) => {
                group = group.element(snippet(excerpt, place, i == 0));
                drawn = true;
            }
            None if i > 0 || !place.note.is_empty() => elsewhere.push(place),
            None => {}
        }
    }
    if drawn {
        out.push_str(&renderer.render(&[group]));
        out.push('\n');
    }
    for place in elsewhere {
        let note = if place.note.is_empty() { "see also" } else { place.note.as_str() };
        out.push_str(&format!("   = note: {place}: {note}\n"));
    }
    if let Some(help) = &finding.help {
        let mut lines = help.lines();
        out.push_str(&format!("   = \x1b[1;36mhelp\x1b[0m: {}\n", lines.next().unwrap_or_default()));
        for line in lines {
            out.push_str(&format!("{}\n", if line.is_empty() { String::new() } else { format!("           {line}") }));
        }
    }
    out
}

/// A few lines of a file, and where in them the span lies.
struct Excerpt {
    text: String,
    first_line: usize,
    range: std::ops::Range<usize>,
}

/// The lines around a span. A span of several lines is cut at the end of its first: the rest says nothing more.
fn excerpt(text: &str, span: Span) -> Option<Excerpt> {
    let line_start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line_end = text.get(span.start..)?.find('\n').map_or(text.len(), |at| span.start + at);
    let mut from = line_start;
    let mut before = 0;
    while before < BEFORE && from > 0 {
        from = text[..from - 1].rfind('\n').map_or(0, |at| at + 1);
        before += 1;
    }
    let end = span.end.min(line_end).max(span.start);
    text.get(span.start..end)?;
    let first_line = usize::try_from(span.line).unwrap_or(1).saturating_sub(before).max(1);
    let shown = text.get(from..line_end)?.trim_end_matches('\r').to_owned();
    let start = (span.start - from).min(shown.len());
    Some(Excerpt { range: start..(end - from).clamp(start, shown.len()), text: shown, first_line })
}

fn snippet(excerpt: Excerpt, place: &Place, first: bool) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let mut annotation = if first { AnnotationKind::Primary } else { AnnotationKind::Context }.span(excerpt.range);
    if !place.note.is_empty() {
        annotation = annotation.label(place.note.as_str());
    }
    let snippet = Snippet::source(excerpt.text).line_start(excerpt.first_line).fold(false).annotation(annotation);
    if first { snippet } else { snippet.path(place.path.as_str()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Code, Pointer};

    fn place(start: usize, end: usize, line: u32, column: u32) -> Place {
        Place {
            path: "a.yaml".into(),
            span: Some(Span { start, end, line, column }),
            pointer: Pointer::root(),
            note: String::new(),
        }
    }

    #[test]
    fn the_first_line_is_greppable_and_the_caret_stands_below_the_value() {
        let text = "kind: Shoot\nspec:\n  kubernetes:\n    version: 1.35.0\n";
        let finding = Finding::error(Code::new("X-Y"), "too new").at(place(45, 51, 4, 14)).help("wait");
        let shown = findings(&Findings(vec![finding]), &|_| Some(Arc::from(text)), 100);
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(
            plain,
            "a.yaml:4:14: error[X-Y]: too new\n  |\n2 | spec:\n3 |   kubernetes:\n4 |     version: 1.35.0\n  |              ^^^^^^\n   = help: wait\n"
        );
    }
}
