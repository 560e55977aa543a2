//! Cells that are computed, of kinds whose objects say several things in one cell.

use jiff::Timestamp;
use serde_json::Value;

use super::{age, text};

/// The text of a cell; `None`: it is computed elsewhere.
pub(super) fn computed(what: &str, object: &Value, now: Timestamp) -> Option<String> {
    let (what, pointer) = what.split_once(' ').unwrap_or((what, ""));
    let at = |pointer: &str| object.pointer(pointer).filter(|value| !value.is_null());
    let or = |otherwise: &str| at(pointer).map_or_else(|| otherwise.to_owned(), text);
    let each = |pointer: &str| at(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let found = match what {
        "text" => or(""),
        "unset" => or("<unset>"),
        "bound" => or("N/A"),
        "claim" if at("/metadata/deletionTimestamp").is_some() => "Terminating".to_owned(),
        "claim" => at("/status/phase").map_or_else(String::new, text),
        "modes" => {
            let short = |mode: &Value| match mode.as_str() {
                Some("ReadWriteOnce") => "RWO",
                Some("ReadOnlyMany") => "ROX",
                Some("ReadWriteMany") => "RWX",
                _ => "RWOP",
            };
            each("/status/accessModes").iter().map(short).collect::<Vec<_>>().join(",")
        }
        "requests" => quotas(object, false),
        "limits" => quotas(object, true),
        "suspended" => if at("/spec/suspend") == Some(&Value::Bool(true)) { "True" } else { "False" }.to_owned(),
        "scheduled" => {
            let time = at("/status/lastScheduleTime").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
            time.map_or_else(|| "<none>".to_owned(), |time| age(now.duration_since(time).as_secs()))
        }
        "hosts" => {
            let hosts = each("/spec/rules").iter().filter_map(|rule| rule.get("host")?.as_str());
            let hosts: Vec<&str> = hosts.filter(|host| !host.is_empty()).collect();
            match hosts.as_slice() {
                [] => "*".to_owned(),
                [a, b, c, more @ ..] if !more.is_empty() => format!("{a},{b},{c} + {} more...", more.len()),
                all => all.join(","),
            }
        }
        "addresses" => {
            let points = each("/status/loadBalancer/ingress").iter();
            points.filter_map(|p| p.get("ip").or_else(|| p.get("hostname"))?.as_str()).collect::<Vec<_>>().join(",")
        }
        "ingress" => if each("/spec/tls").is_empty() { "80" } else { "80, 443" }.to_owned(),
        "pods" => {
            let labels = at("/spec/podSelector/matchLabels").and_then(Value::as_object).into_iter().flatten();
            let labels: Vec<String> = labels.map(|(key, value)| format!("{key}={}", text(value))).collect();
            if labels.is_empty() { "<none>".to_owned() } else { labels.join(",") }
        }
        "targets" => targets(each("/spec/metrics"), each("/status/currentMetrics")),
        _ => return None,
    };
    Some(found)
}

/// What of a quota is used, of requests or of limits.
fn quotas(object: &Value, limits: bool) -> String {
    let hard = object.pointer("/status/hard").and_then(Value::as_object).into_iter().flatten();
    let hard = hard.filter(|(resource, _)| resource.starts_with("limits.") == limits);
    let used = |resource: &str| object.pointer("/status/used").and_then(|used| used.get(resource)).map_or("0".to_owned(), text);
    hard.map(|(resource, most)| format!("{resource}: {}/{}", used(resource), text(most))).collect::<Vec<_>>().join(", ")
}

/// What an autoscaler aims at, beside what is so.
fn targets(wanted: &[Value], current: &[Value]) -> String {
    let one = |(nth, metric): (usize, &Value)| {
        let resource = metric.get("resource")?;
        let name = resource.get("name")?.as_str()?;
        let field = |of: &Value, field: &str| of.get(field).filter(|value| !value.is_null()).map(text);
        let now = current.get(nth).and_then(|metric| metric.pointer("/resource/current"));
        let (target, unit) = match field(&resource["target"], "averageUtilization") {
            Some(target) => (target, "%"),
            None => (field(&resource["target"], "averageValue")?, ""),
        };
        let now = now.and_then(|now| field(now, if unit.is_empty() { "averageValue" } else { "averageUtilization" }));
        let now = now.map_or_else(|| "<unknown>".to_owned(), |now| format!("{now}{unit}"));
        Some(format!("{name}: {now}/{target}{unit}"))
    };
    let all: Vec<String> =
        wanted.iter().enumerate().map(|metric| one(metric).unwrap_or_else(|| "<unknown>".to_owned())).collect();
    match all.as_slice() {
        [] => "<none>".to_owned(),
        [a, b, more @ ..] if !more.is_empty() => format!("{a}, {b} + {} more...", more.len()),
        all => all.join(", "),
    }
}
