//! The house rules that no compiler checks: arrows between rings, crates per ring, no clocks and files in the core, one writer
//! to the terminal, modules that say what they are, files that fit a head.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rings of `design` §3 by top-level module; the crate's root and `main` may use everything.
const RINGS: &[(u8, &[&str])] = &[
    (0, &["finding", "snapshot", "document", "value", "graph", "digest", "memo", "share"]),
    (1, &["landscape", "observed"]),
    (
        2,
        &[
            "library",
            "admission",
            "schedule",
            "secrets",
            "facts",
            "render",
            "health",
            "operate",
            "plan",
            "status",
            "promote",
            "pipeline",
        ],
    ),
    (3, &["git", "cluster", "apply", "helm", "sim"]),
    (4, &["daemon", "web", "cli", "print", "config", "telemetry"]),
];

/// Crates that bring I/O, clocks or randomness: only for rings 3 and 4.
const OUTER_CRATES: &[&str] = &[
    "git2",
    "kube",
    "axum",
    "tokio",
    "tokio_stream",
    "tokio_util",
    "tokio_rustls",
    "notify",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "reqwest",
    "fastrand",
    "getrandom",
    "rand",
    "redb",
    "indicatif",
    "clap",
];

/// What the core may not call, with why.
const OUTER_CALLS: &[(&str, &str)] = &[
    ("std::fs", "files"),
    ("std::env", "the environment"),
    ("TcpStream", "the network"),
    ("TcpListener", "the network"),
    ("UdpSocket", "the network"),
    ("ToSocketAddrs", "the network"),
    ("std::process", "processes"),
    ("SystemTime::now", "the clock"),
    ("Instant::now", "the clock"),
    ("Timestamp::now", "the clock"),
    ("Zoned::now", "the clock"),
    ("async fn", "futures"),
];

/// A file longer than this says why in its first lines: `//! Long: …`.
const LONGEST: usize = 600;

struct Source {
    /// Path below `src/`.
    path: String,
    /// The top-level module.
    module: String,
    /// The whole text.
    text: String,
    /// Lines of code with their numbers: without comments, strings' content and the trailing `mod tests`.
    code: Vec<(usize, String)>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    // The build script is no part of the crate.
    files.retain(|file| *file != root.join("build.rs"));
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(&file).expect("sources are UTF-8");
            let module = path.split(['/', '.']).next().unwrap_or_default().to_owned();
            let code = code(&text);
            Source { path, module, text, code }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The lines that are code. Unit tests at the end of a file may use more than the module.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        let line = without_strings(line);
        let line = line.split("//").next().unwrap_or_default();
        if !line.trim().is_empty() {
            out.push((number + 1, line.to_owned()));
        }
    }
    out
}

/// Blanks the content of string literals that begin and end on the line.
fn without_strings(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut inside, mut escaped) = (false, false);
    let mut before = ' ';
    for c in line.chars() {
        if inside {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == '"' {
                inside = false;
                out.push(c);
            }
        } else {
            // A quotation mark as a character literal begins no string.
            inside = c == '"' && before != '\'';
            out.push(c);
        }
        before = c;
    }
    out
}

fn ring(module: &str) -> Option<u8> {
    RINGS.iter().find(|(_, modules)| modules.contains(&module)).map(|(ring, _)| *ring)
}

/// Whether a line uses a path that begins with this name, and not with a longer one.
fn uses(line: &str, name: &str) -> bool {
    let mut rest = line;
    while let Some(at) = rest.find(name) {
        let before = rest[..at].chars().next_back();
        let after = rest[at + name.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let ends = !word(after) || !word(name.chars().next_back());
        if !word(before) && ends {
            return true;
        }
        rest = &rest[at + name.len()..];
    }
    false
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_module_has_a_ring() {
    let problems: Vec<String> = sources()
        .iter()
        .filter(|s| !matches!(s.module.as_str(), "lib" | "main") && ring(&s.module).is_none())
        .map(|s| format!("src/{}: module `{}` is in no ring", s.path, s.module))
        .collect();
    report(&problems);
}

#[test]
fn arrows_point_inward() {
    let mut problems = Vec::new();
    for source in sources() {
        let Some(own) = ring(&source.module) else { continue };
        let text: String = source.code.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
        for (target, number) in references(&text, &source.code) {
            if let Some(other) = ring(&target)
                && other > own
            {
                problems.push(format!(
                    "src/{}:{number}: `{}` (ring {own}) must not use `{target}` (ring {other})",
                    source.path, source.module
                ));
            }
        }
    }
    report(&problems);
}

/// The top-level modules that a file names by `crate::…`, also in groups, each with a line.
fn references(text: &str, code: &[(usize, String)]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut offset = 0;
    while let Some(at) = text[offset..].find("crate::") {
        let start = offset + at + "crate::".len();
        let line = text[..start].matches('\n').count();
        let number = code.get(line).map_or(0, |(number, _)| *number);
        let rest = &text[start..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut word = String::new();
            let mut first = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => {
                        first = true;
                        word.clear();
                        continue;
                    }
                    _ if depth == 1 && first && (c.is_alphanumeric() || c == '_') => {
                        word.push(c);
                        continue;
                    }
                    _ => {}
                }
                if first && !word.is_empty() {
                    found.entry(std::mem::take(&mut word)).or_insert(number);
                    first = false;
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.entry(word).or_insert(number);
        }
        offset = start;
    }
    found
}

#[test]
fn the_core_cannot_fail() {
    let mut problems = Vec::new();
    for source in sources() {
        if ring(&source.module).is_none_or(|ring| ring > 2) {
            continue;
        }
        for (number, line) in &source.code {
            for name in OUTER_CRATES {
                if uses(line, &format!("{name}::")) || uses(line, &format!("use {name}")) {
                    problems.push(format!("src/{}:{number}: the core must not use `{name}`", source.path));
                }
            }
            for (call, what) in OUTER_CALLS {
                if uses(line, call) {
                    problems.push(format!("src/{}:{number}: the core must not touch {what} (`{call}`)", source.path));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn one_door_to_the_terminal_and_to_the_environment() {
    let mut problems = Vec::new();
    for source in sources() {
        for (number, line) in &source.code {
            if source.module != "print" {
                for call in ["println!", "print!", "eprintln!", "eprint!"] {
                    if uses(line, call.trim_end_matches('!')) && line.contains(call) && !line.contains(&format!("fn {call}")) {
                        problems.push(format!("src/{}:{number}: only `print` writes to the terminal (`{call}`)", source.path));
                        break;
                    }
                }
            }
            if source.module != "config" && (line.contains("env::var") || line.contains("env::set_var")) {
                problems.push(format!("src/{}:{number}: only `config` reads the environment", source.path));
            }
        }
    }
    report(&problems);
}

#[test]
fn every_module_says_what_it_is() {
    let problems: Vec<String> = sources()
        .iter()
        .filter(|s| !s.text.trim_start().starts_with("//!"))
        .map(|s| format!("src/{}: begins without a `//!` paragraph", s.path))
        .collect();
    report(&problems);
}

#[test]
fn long_files_say_why() {
    let problems: Vec<String> = sources()
        .iter()
        .filter(|s| s.text.lines().count() > LONGEST && !s.text.lines().take(12).any(|line| line.starts_with("//! Long: ")))
        .map(|s| format!("src/{}: {} lines; split it, or say why with a `//! Long: …` line", s.path, s.text.lines().count()))
        .collect();
    report(&problems);
}

#[test]
fn every_code_of_the_model_is_explained() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|s| s.module == "landscape") {
        for (number, line) in source.text.lines().enumerate() {
            let raised = line.split('"').skip(1).step_by(2).filter(|word| {
                let upper = |c: char| c.is_ascii_uppercase() || c == '-';
                ["FIELD-", "LOAD-", "SECRET-", "PASTE-", "REF-"].iter().any(|prefix| word.starts_with(prefix))
                    && word.chars().all(upper)
            });
            for code in raised {
                if !espalier::landscape::CODES.iter().any(|(known, ..)| *known == code) {
                    problems.push(format!("src/{}:{}: `{code}` is not in CODES", source.path, number + 1));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn nothing_is_left_undone() {
    let mut problems = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            for mark in ["todo!(", "unimplemented!(", concat!("TO", "DO"), concat!("FIX", "ME"), "dbg!("] {
                if line.contains(mark) {
                    problems.push(format!("src/{}:{}: {mark}", source.path, number + 1));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn the_rules_are_seen_where_they_are_broken() {
    let code = code("use crate::{git::Repo, finding};\nlet x = \"crate::cli\"; // crate::web\nlet y = crate::sim::open();\n");
    let text: String = code.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
    let names: Vec<String> = references(&text, &code).into_keys().collect();
    assert_eq!(names, ["finding", "git", "sim"]);
    assert!(uses("    tokio::spawn(x)", "tokio::") && !uses("my_tokio::spawn(x)", "tokio::"));
    assert!(uses("use kube::Client;", "use kube") && !uses("use kube_cel::Program;", "use kube"));
}
