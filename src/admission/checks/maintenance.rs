//! The maintenance window, and automatic rotations.

use super::prelude::*;
use super::update_operations::AWAKE;
use crate::value::{DayTime, Window};

rules! {
    /// The maintenance window begins and ends at times written `HHMMSS+ZZZZ` (V-028).
    "SHOOT-MAINTENANCE-WINDOW", "the maintenance window cannot be read", Shoot, window;
    /// The maintenance window is at least half an hour and at most six hours long; it may cross midnight (V-029).
    "SHOOT-MAINTENANCE-LENGTH", "the maintenance window is too short or too long", Shoot, length;
    /// Automatic rotations happen every 30 minutes to 90 days, or, with `0s`, never (V-030).
    "SHOOT-ROTATION-PERIOD", "a rotation period is out of range", Shoot, rotation;
    /// The purpose is a known one; `infrastructure` is for the project `garden` (V-014).
    "SHOOT-PURPOSE", "the purpose is unknown", Shoot, purpose;
    /// High availability tolerates the failure of a `node` or of a `zone` (V-020).
    "SHOOT-HA-TYPE", "the failure tolerance is unknown", Shoot, tolerance;
    /// A cluster is not sent to sleep while a rotation of its credentials is planned for the next maintenance window (V-181).
    "SHOOT-HIBERNATION-OPERATION", "a planned operation keeps the cluster awake", Shoot, operations;
}

const OPERATION: &str = "maintenance.gardener.cloud/operation";
const HALF_AN_HOUR: i64 = 30 * 60;
const SIX_HOURS: i64 = 6 * 3600;
const NINETY_DAYS: f64 = 90.0 * 24.0 * 3600.0;

fn window(cx: &Cx<'_>, out: &mut Out) {
    let window = cx.new.at("spec/maintenance/timeWindow");
    let wrong = ["begin", "end"].map(|what| window.get(what)).into_iter().find(|node| node.str().parse::<DayTime>().is_err());
    if let Some(node) = wrong.filter(|_| window.is_set()) {
        out.invalid(&node, format!("{} is no time of day", node.shown()))
            .field("spec.maintenance.timeWindow.begin/end")
            .help("write it as `HHMMSS+ZZZZ`, for example `220000+0100`");
    }
}

fn length(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/maintenance/timeWindow");
    let Ok(window) = Window::parse(node.get("begin").str(), node.get("end").str()) else { return };
    let length = window.duration();
    if !(HALF_AN_HOUR..=SIX_HOURS).contains(&length) {
        out.invalid(&node, format!("the maintenance window is {} minutes long", length / 60)).help("from 30 minutes to 6 hours");
    }
}

fn rotation(cx: &Cx<'_>, out: &mut Out) {
    for what in ["observability", "sshKeypair", "etcdEncryptionKey"] {
        let node = cx.new.at("spec/maintenance/autoRotation/credentials").get(what).get("rotationPeriod");
        let Some(text) = node.text() else { continue };
        if what == "sshKeypair" && cx.new.at("spec/provider/workers").is_empty() {
            continue;
        }
        match syntax::duration(text) {
            None => {
                out.invalid(&node, format!("{} is no duration", node.shown())).help("for example `168h`");
            }
            Some(period) if period != 0.0 && !(1800.0..=NINETY_DAYS).contains(&period) => {
                out.invalid(&node, format!("a rotation period of {} is out of range", node.shown())).help("from `30m` to `2160h`, or `0s` for never");
            }
            Some(_) => {}
        }
    }
}

fn purpose(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("spec/purpose");
    let known = ["evaluation", "testing", "development", "production"];
    let ours = node.str() == "infrastructure" && cx.owner.project == "garden";
    if !known.contains(&node.str()) && !ours {
        out.not_supported(&node, format!("{} is no purpose", node.shown())).help(format!("possible are {}", listed(known)));
    }
}

fn tolerance(cx: &Cx<'_>, out: &mut Out) {
    let block = cx.new.at("spec/controlPlane/highAvailability");
    let node = block.at("failureTolerance/type");
    if block.is_set() && !matches!(node.str(), "node" | "zone") {
        out.not_supported(&node, format!("{} is no failure tolerance", node.shown())).help("use `node` or `zone`");
    }
}

fn operations(cx: &Cx<'_>, out: &mut Out) {
    let (enabled, planned) = (cx.new.at("spec/hibernation/enabled"), cx.new.at("metadata/annotations").get(OPERATION));
    let hinders = planned.str().split(';').find(|operation| AWAKE.contains(operation));
    if let (Some(true), Some(operation)) = (enabled.flag(), hinders) {
        out.forbidden(&enabled, format!("`{operation}` is planned for the next maintenance window"))
            .and(&planned, "here")
            .help("hibernate when it is done, or remove the annotation");
    }
}
