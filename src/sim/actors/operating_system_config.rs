//! OperatingSystemConfig: what runs on a node, in the words of its operating system. For `provision` the result is user data
//! in a Secret of its own.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::handshake::{Extension, Problem, Progress};
use super::object::{EXTENSIONS, controller_reference, items, text};
use super::{Cx, Lag};

/// The controller of any operating system.
pub(super) struct OperatingSystemConfigs;

/// User data longer than this is refused by some providers.
const LONGEST_USER_DATA: usize = 16 * 1024;

impl Extension for OperatingSystemConfigs {
    fn name(&self) -> &'static str {
        "gardener-extension-os"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "OperatingSystemConfig")]
    }

    fn lag(&self) -> Lag {
        1..=5
    }

    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        use base64::Engine as _;
        match text(object, "/spec/purpose") {
            "provision" => {}
            "reconcile" => return Ok(Progress::Done(json!({}))),
            other => return Err(Problem::Failed(format!("unknown purpose {other:?}"), &["ERR_CONFIGURATION_PROBLEM"])),
        }
        let script = user_data(object);
        if script.len() > LONGEST_USER_DATA {
            let message = format!("user data has {} bytes, at most {LONGEST_USER_DATA} fit", script.len());
            return Err(Problem::Failed(message, &["ERR_CONFIGURATION_PROBLEM"]));
        }
        let name = format!("osc-result-{}", cx.key.name);
        let namespace = &cx.key.namespace;
        cx.ensure(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": namespace, "ownerReferences": controller_reference(object)},
            "data": {"cloud_config": base64::engine::general_purpose::STANDARD.encode(script)},
        }))?;
        Ok(Progress::Done(json!({"cloudConfig": {"secretRef": {"name": name, "namespace": namespace}}})))
    }
}

/// A script that writes the files and starts the units.
fn user_data(object: &Value) -> String {
    let mut script = String::from("#!/bin/bash\nset -eu\n");
    for file in items(object, "/spec/files") {
        let (path, inline) = (text(file, "/path"), text(file, "/content/inline/data"));
        let decode = if text(file, "/content/inline/encoding") == "b64" { " | base64 -d" } else { "" };
        writeln!(script, "mkdir -p \"$(dirname '{path}')\"\nprintf '%s' '{inline}'{decode} > '{path}'")
            .expect("a String takes everything");
    }
    for unit in items(object, "/spec/units") {
        let name = text(unit, "/name");
        if let Some(content) = unit.get("content").and_then(Value::as_str) {
            writeln!(script, "cat > /etc/systemd/system/{name} <<'EOU'\n{content}\nEOU").expect("a String takes everything");
        }
        writeln!(script, "systemctl enable {name} && systemctl restart {name}").expect("a String takes everything");
    }
    script
}
