//! What watches a control plane, and who hears of it (`components/shoot-and-observability.md` §5–§7).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{at, flag, text, texts};

/// Whose control plane is watched.
pub(super) struct Watched<'a> {
    pub(super) shoot: &'a Value,
    pub(super) seed: &'a Value,
    pub(super) landscape: &'a Value,
    /// `id` of the context.
    pub(super) id: &'a Value,
    pub(super) workerless: bool,
    pub(super) purpose: &'a str,
}

/// Whether a landscape wants metrics, alerts and dashboards.
pub(super) fn is_monitored(landscape: &Value) -> bool {
    at(landscape, "/spec/observability/monitoring").as_bool() != Some(false)
}

/// `observability` of the context.
pub(super) fn settings(watched: &Watched<'_>) -> Value {
    let wanted = at(watched.landscape, "/spec/observability");
    // Clusters for tests are not watched.
    let watch = watched.purpose != "testing";
    let monitoring = watch && is_monitored(watched.landscape);
    let logging = watch && flag(wanted, "/logging");
    let silent = text(watched.shoot, "/metadata/annotations/shoot.gardener.cloud~1ignore-alerts") == "true";
    let receivers = texts(watched.shoot, "/spec/monitoring/alerting/emailReceivers");
    let alertmanager = monitoring && !silent && !receivers.is_empty();
    let domain = text(watched.seed, "/spec/ingress/domain");
    let host = |prefix: &str| {
        let (project, name) = (text(watched.id, "/project"), text(watched.id, "/name"));
        if domain.is_empty() { String::new() } else { format!("{prefix}-{project}--{name}.{domain}") }
    };
    let doors = [
        (monitoring, "prometheus", "p", "prometheus-shoot", 80, &["/-/reload", "/-/quit", "/api/v1/targets"][..]),
        (alertmanager, "alertmanager", "au", "alertmanager-shoot", 9093, &["/-/reload"]),
        (monitoring || logging, "plutono", "gu", "plutono", 3000, &["/api/admin/"]),
    ];
    let hosts: BTreeMap<&str, String> = doors.iter().map(|(_, component, prefix, ..)| (*component, host(prefix))).collect();
    let doors: Vec<Value> = doors
        .iter()
        .filter(|(open, ..)| *open && !domain.is_empty())
        .map(|(_, component, prefix, service, port, closed)| {
            let host = host(prefix);
            let first = host.split('.').next().unwrap_or_default().to_owned();
            json!({"component": component, "host": host, "label": first, "service": service, "port": port, "closed": closed})
        })
        .collect();
    let mail = at(wanted, "/mail");
    json!({
        "monitoring": monitoring,
        "logging": logging,
        "dashboards": monitoring || logging,
        "alertmanager": alertmanager,
        "receivers": receivers,
        "mail": if mail.is_null() { Value::Null } else { json!({
            "smarthost": text(mail, "/smarthost"),
            "from": text(mail, "/from"),
            "username": text(mail, "/username"),
            "identity": text(mail, "/identity"),
            "secretName": text(mail, "/secretName"),
        }) },
        "hosts": hosts,
        "doors": doors,
        "labels": {
            "cluster": text(watched.id, "/technicalID"),
            "project": text(watched.id, "/project"),
            "shoot_name": text(watched.id, "/name"),
            "name": text(watched.id, "/name"),
            "seed": text(watched.id, "/seed"),
            "seed_region": text(watched.seed, "/spec/provider/region"),
            "seed_provider": text(watched.seed, "/spec/provider/type"),
            "shoot_infra": text(watched.shoot, "/spec/provider/type"),
            "ignoreAlerts": silent.to_string(),
        },
        // What a workerless cluster has none of.
        "nodes": monitoring && !watched.workerless,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shoot: &Value, wanted: &Value, purpose: &str) -> Value {
        let seed = json!({"spec": {"ingress": {"domain": "i.example.org"}, "provider": {"type": "a", "region": "b"}}});
        let landscape = json!({"spec": {"observability": wanted}});
        let id = json!({"project": "shop", "name": "web", "technicalID": "shoot--shop--web", "seed": "eu1"});
        settings(&Watched { shoot, seed: &seed, landscape: &landscape, id: &id, workerless: false, purpose })
    }

    #[test]
    fn the_landscape_the_purpose_and_the_shoot_decide_what_watches() {
        let quiet = json!({});
        let on = |value: &Value| ["monitoring", "logging", "dashboards", "alertmanager"].map(|part| value[part] == true);
        assert_eq!(on(&of(&quiet, &Value::Null, "production")), [true, false, true, false]);
        assert_eq!(on(&of(&quiet, &json!({"logging": true, "monitoring": false}), "production")), [false, true, true, false]);
        assert_eq!(on(&of(&quiet, &json!({"logging": true}), "testing")), [false; 4]);
        let mut loud =
            json!({"metadata": {"annotations": {}}, "spec": {"monitoring": {"alerting": {"emailReceivers": ["a@example.org"]}}}});
        assert_eq!(on(&of(&loud, &Value::Null, "evaluation")), [true, false, true, true]);
        loud["metadata"]["annotations"]["shoot.gardener.cloud/ignore-alerts"] = json!("true");
        let silent = of(&loud, &Value::Null, "evaluation");
        assert_eq!((on(&silent)[3], silent["labels"]["ignoreAlerts"].clone()), (false, json!("true")));
        assert_eq!(silent["doors"][1]["host"], "gu-shop--web.i.example.org");
        assert_eq!(silent["doors"][1]["label"], "gu-shop--web");
    }
}
