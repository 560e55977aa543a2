//! What the README tells people to type works, and what it says they will see is what they see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cli::copy;

/// The edit of which the README shows the plan.
const SHOOT: &str = "projects/shop/shoots/store.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let text = readme();
    let mut parts = text.split("```").skip(1).step_by(2);
    let mut found = Vec::new();
    for part in &mut parts {
        if let Some((first, rest)) = part.split_once('\n')
            && first == language
        {
            found.push(rest.to_owned());
        }
    }
    found
}

fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.org"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .current_dir(dir)
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository as `demo` makes it, which also has the landscape at the path that it has in the project's own repository.
fn repository() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&root().join("landscapes/local"), dir.path());
    git(dir.path(), &["init", "-q", "-b", "landscape/local"]);
    git(dir.path(), &["add", "-A"]);
    git(dir.path(), &["commit", "-q", "-m", "Describe the landscape"]);
    let path = dir.path().to_owned();
    (dir, path)
}

fn edit(dir: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(dir.join(SHOOT)).expect("the shoot");
    assert!(text.contains(from), "{SHOOT} has no `{from}`");
    fs::write(dir.join(SHOOT), text.replacen(from, to, 1)).expect("the shoot");
}

/// Runs the program; gives its exit code and what it printed.
fn espalier(dir: &Path, line: &str) -> (i32, String) {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_espalier"))
        .env_clear()
        .env("HOME", dir)
        .env("ESPALIER_NOW", "2026-11-21T09:00:00Z")
        .current_dir(dir)
        .args(line.split_whitespace().skip(1))
        .output()
        .expect("the program can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("it ends by itself"), text + &String::from_utf8_lossy(&output.stderr))
}

/// Revisions and the days of commits differ from machine to machine.
fn masked(line: &str) -> String {
    let revision = |word: &str| word.len() == 7 && word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let day = |word: &str| word.len() == 10 && word.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let mask = |word: &str| {
        let bare = word.trim_end_matches(',');
        if revision(bare) {
            word.replace(bare, "0000000")
        } else if day(bare) {
            word.replace(bare, "0000-00-00")
        } else {
            word.to_owned()
        }
    };
    line.split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

/// Each line of the block was printed, in this order; `…` stands for lines that are left out.
fn shows(block: &str, printed: &str) {
    let mut rest = printed.lines().map(masked);
    for line in block.lines().filter(|line| !line.is_empty() && *line != "…") {
        assert!(rest.any(|other| other.trim_end() == masked(line)), "the README says\n{line}\nbut this is printed:\n{printed}");
    }
}

fn block(begins: &str) -> String {
    let found = blocks("text").into_iter().find(|b| b.starts_with(begins));
    found.unwrap_or_else(|| panic!("README.md has no ```text block that begins with `{begins}`"))
}

#[test]
fn every_command_is_run_somewhere() {
    let ci = fs::read_to_string(root().join(".ci/run")).expect("the script");
    let run: Vec<String> = ci
        .lines()
        .map(|line| line.split(" 2>&1").next().unwrap_or_default().trim().replace(" --dir \"$work/demo\"", ""))
        .map(|line| line.replace(" --locked", "").replace(" --no-fail-fast", ""))
        .collect();
    let (_guard, dir) = repository();
    let commands: Vec<String> = blocks("sh").iter().flat_map(|b| b.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        if command.starts_with("espalier ") {
            // Paths are those of the project's repository, everything else is asked of a landscape's.
            let (code, printed) = espalier(if command.contains("landscapes/") { root() } else { &dir }, &command);
            assert_eq!(code, 0, "{command}\n{printed}");
        } else {
            assert!(run.contains(&command), "nobody runs `{command}`: neither .ci/run nor this test");
        }
    }
}

#[test]
fn the_plan_and_the_refusal_are_what_is_printed() {
    let (_guard, dir) = repository();
    edit(&dir, "version: 1.34.2", "version: 1.34.6");
    let (code, printed) = espalier(&dir, "espalier plan --to WORKTREE");
    assert_eq!(code, 0, "{printed}");
    shows(&block("Plan "), &printed);

    git(&dir, &["commit", "-qam", "Update the store"]);
    edit(&dir, "version: 1.34.6", "version: 1.33.9");
    let (code, printed) = espalier(&dir, "espalier validate --against HEAD");
    assert_eq!(code, 1, "{printed}");
    shows(&block(SHOOT), &printed);
}

#[test]
fn what_it_links_to_is_there_and_it_takes_two_minutes() {
    let text = readme();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://")) {
        assert!(root().join(link).exists(), "README.md links to {link}");
    }
    assert!(text.lines().count() < 120, "nobody reads that in two minutes");
}
