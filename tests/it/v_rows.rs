//! The rows of Gardener's validation rules: each is a rule of ours, or cannot apply to objects that come from Git.
//!
//! `v_rows.txt` is the table. It is compared with the documentation of the rules in both directions, and, where the rules page is
//! at hand, with the rows of that page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use espalier::{admission, document, landscape, render};

const TABLE: &str = include_str!("v_rows.txt");

/// How many rows the rules page has.
const ROWS: u16 = 380;

/// What a row is: the codes of our rules, or why it cannot apply.
enum Row {
    Codes(BTreeSet<&'static str>),
    Reason(&'static str),
}

/// The rows of the table, in its order.
fn table() -> Vec<(u16, Row)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (row, rest) = line.split_once(' ').unwrap_or_else(|| panic!("`{line}` says nothing"));
            let number = number(row).unwrap_or_else(|| panic!("`{row}` is no row"));
            let said = rest.strip_prefix("- ").map(Row::Reason);
            (number, said.unwrap_or_else(|| Row::Codes(rest.split(' ').collect())))
        })
        .collect()
}

/// `V-012` as a number.
fn number(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("V-")?;
    (digits.len() == 3).then(|| digits.parse().ok())?
}

/// The rows that a text names, `V-033 … V-048` being all of them in between.
fn named(text: &str) -> BTreeSet<u16> {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| word.trim_matches(|c: char| matches!(c, '(' | ')' | ',' | '.' | ';' | ':'))).collect();
    let mut all = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        let Some(first) = number(word) else { continue };
        let last = if words.get(at + 1) == Some(&"…") { words.get(at + 2).and_then(|word| number(word)) } else { None };
        all.extend(first..=last.unwrap_or(first));
    }
    all
}

#[test]
fn every_row_is_there_once_and_in_order() {
    let rows: Vec<u16> = table().into_iter().map(|(number, _)| number).collect();
    assert_eq!(rows, (1..=ROWS).collect::<Vec<_>>());
}

#[test]
fn rows_name_codes_that_exist_or_give_a_reason() {
    let outside =
        [document::CODES, landscape::CODES, admission::CODES, render::CODES].into_iter().flatten().map(|(code, ..)| *code);
    let known: BTreeSet<&str> = admission::codes().map(|(code, _)| code).chain(outside).collect();
    for (number, row) in table() {
        match row {
            Row::Codes(codes) => {
                let unknown: Vec<_> = codes.difference(&known).collect();
                assert!(unknown.is_empty(), "V-{number:03}: there is no {unknown:?}");
            }
            Row::Reason(reason) => {
                let sentence = reason.ends_with('.') && reason.split_whitespace().count() > 5;
                assert!(sentence, "V-{number:03}: `{reason}` is no sentence");
            }
        }
    }
}

#[test]
fn the_table_and_the_documentation_of_rules_say_the_same() {
    let rules: BTreeMap<&str, BTreeSet<u16>> =
        admission::codes().map(|(code, _)| (code, named(admission::explain(code).expect("a rule is explained")))).collect();
    let mut wrong = Vec::new();
    let mut mapped: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for (number, row) in table() {
        if let Row::Codes(codes) = row {
            for code in codes {
                mapped.entry(code).or_default().insert(number);
            }
        }
    }
    let nothing = BTreeSet::new();
    for (code, documented) in &rules {
        let mapped = mapped.get(code).unwrap_or(&nothing);
        wrong.extend(
            documented
                .difference(mapped)
                .map(|n| format!("{code} names V-{n:03} in its documentation, and the table does not map it there")),
        );
        wrong.extend(
            mapped
                .difference(documented)
                .map(|n| format!("the table maps V-{n:03} to {code}, whose documentation does not name it")),
        );
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_rules_page_has_these_rows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Beside the repository, or beside the folder of its worktrees.
    let pages = ["..", "../.."].map(|up| root.join(up).join("shared/reference/domain/validation-rules.md"));
    let Some(page) = pages.iter().find_map(|path| std::fs::read_to_string(path).ok()) else {
        println!("not compared with the rules page: there is no {}", pages[0].display());
        return;
    };
    let first = |line: &str| line.strip_prefix("| ").and_then(|rest| number(rest.get(..5)?));
    let rows: Vec<u16> = page.lines().filter_map(first).collect();
    assert_eq!(rows, table().into_iter().map(|(number, _)| number).collect::<Vec<_>>());
}

#[test]
fn ranges_of_rows_are_understood() {
    assert_eq!(named("Ranges (V-001, V-003 … V-005). V-12 is none."), BTreeSet::from([1, 3, 4, 5]));
}
