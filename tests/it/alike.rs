//! Same inputs, same bytes: whatever the order of files on disk, the locale and the time zone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::{edit, git, repository};

/// The files of a folder, the order of the last ones first.
fn copy_backwards(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(from).expect("a folder").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.into_iter().rev() {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_backwards(&path, &target);
        } else {
            std::fs::copy(&path, target).expect("a file");
        }
    }
}

fn plan(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_espalier"))
        .env_clear()
        .env("HOME", dir)
        .envs(env.iter().copied())
        .current_dir(dir)
        .args(["plan", "--from", "HEAD~1", "--to", "HEAD"])
        .args(args)
        .output()
        .expect("the program can be started");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_plan_is_the_same_on_every_machine() {
    let dir = repository();
    edit(dir.path(), "projects/shop/shoots/store.yaml", "version: 1.34.2 ", "version: 1.34.6 ");
    edit(dir.path(), "cloudprofiles/aws.yaml", "name: m6i.large", "name: m6i.tiny");
    git(dir.path(), &["commit", "-q", "-am", "Two changes"]);
    let other = tempfile::tempdir().expect("a folder");
    copy_backwards(dir.path(), other.path());
    for format in ["text", "json", "md", "jsonl"] {
        let args = ["-o", format];
        let here = plan(dir.path(), &args, &[("TZ", "UTC"), ("LC_ALL", "C")]);
        let there = plan(other.path(), &args, &[("TZ", "Asia/Tokyo"), ("LC_ALL", "de_DE.UTF-8"), ("COLUMNS", "40")]);
        assert!(!here.is_empty());
        assert_eq!(here, there, "{format}");
    }
}
