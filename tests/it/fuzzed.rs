//! The inputs that fuzz targets begin with, each judged as the fuzzer does it: what was found once stays mended.

#[path = "../fuzz/checks/cel.rs"]
mod cel;
#[path = "../fuzz/checks/cidr.rs"]
mod cidr;
#[path = "../fuzz/checks/cron.rs"]
mod cron;
#[path = "../fuzz/checks/edit.rs"]
mod edit;
#[path = "../fuzz/checks/quantity.rs"]
mod quantity;
#[path = "../fuzz/checks/version.rs"]
mod version;
#[path = "../fuzz/checks/window.rs"]
mod window;
#[path = "../fuzz/checks/yaml.rs"]
mod yaml;

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let inputs: Vec<_> = std::fs::read_dir(&folder)
        .expect("each target has a corpus")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    for input in inputs {
        let bytes = std::fs::read(&input).expect("it can be read");
        let judged = std::panic::catch_unwind(|| check(&bytes));
        assert!(judged.is_ok(), "{} fails its target", input.display());
    }
}

#[test]
fn cel_inputs() {
    replay("cel", cel::check);
}

#[test]
fn cidr_inputs() {
    replay("cidr", cidr::check);
}

#[test]
fn cron_inputs() {
    replay("cron", cron::check);
}

#[test]
fn edit_inputs() {
    replay("edit", edit::check);
}

#[test]
fn quantity_inputs() {
    replay("quantity", quantity::check);
}

#[test]
fn version_inputs() {
    replay("version", version::check);
}

#[test]
fn window_inputs() {
    replay("window", window::check);
}

#[test]
fn yaml_inputs() {
    replay("yaml", yaml::check);
}
