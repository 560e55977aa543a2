//! What watches a control plane, and a seed, and who hears of it (`components/shoot-and-observability.md` §5–§7,
//! `components/seed-and-garden.md` §2.7 and §2.8).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{at, exposure, flag, text, texts};

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

/// Which of a landscape's back ends keep logs, if there are logs: Vali, unless VictoriaLogs alone is chosen, and VictoriaLogs.
fn backends(landscape: &Value, logging: bool) -> (bool, bool) {
    let chosen = texts(landscape, "/spec/observability/logBackends");
    let victoria_logs = chosen.contains(&"VictoriaLogs");
    (logging && (chosen.contains(&"Vali") || !victoria_logs), logging && victoria_logs)
}

/// A way in for people.
struct Door {
    open: bool,
    component: &'static str,
    /// What its host name begins with.
    prefix: &'static str,
    service: &'static str,
    port: u16,
    /// Paths that are not for people: what changes how it runs.
    closed: &'static [&'static str],
}

/// Paths of a Prometheus that are not for people.
const OF_PROMETHEUS: &[&str] = &["/-/reload", "/-/quit", "/api/v1/targets"];
/// Paths of Plutono that are not for people.
const OF_PLUTONO: &[&str] = &["/api/admin/"];

/// The host name of every door, and those that are open. Without a domain there is none.
fn doors(all: &[Door], whose: &str, domain: &str) -> (BTreeMap<&'static str, String>, Vec<Value>) {
    let host = |door: &Door| if domain.is_empty() { String::new() } else { format!("{}-{whose}.{domain}", door.prefix) };
    let hosts = all.iter().map(|door| (door.component, host(door))).collect();
    let open = all.iter().filter(|door| door.open && !domain.is_empty()).map(|door| {
        let label = format!("{}-{whose}", door.prefix);
        let (component, service, port, closed) = (door.component, door.service, door.port, door.closed);
        json!({"component": component, "host": host(door), "label": label, "service": service, "port": port, "closed": closed})
    });
    (hosts, open.collect())
}

/// `observability` of a seed's context.
pub(super) fn of_seed(seed: &Value, landscape: &Value) -> Value {
    let (monitoring, logging) = (is_monitored(landscape), flag(landscape, "/spec/observability/logging"));
    let (vali, victoria_logs) = backends(landscape, logging);
    // Plutono cannot ask VictoriaLogs.
    let (aggregate, plutono) = (monitoring, monitoring || vali);
    let (hosts, doors) = doors(
        &[
            Door {
                open: aggregate,
                component: "prometheus-aggregate",
                prefix: "p",
                service: "prometheus-aggregate",
                port: 80,
                closed: OF_PROMETHEUS,
            },
            Door { open: plutono, component: "plutono", prefix: "g", service: "plutono", port: 3000, closed: OF_PLUTONO },
        ],
        "seed",
        text(seed, "/spec/ingress/domain"),
    );
    json!({
        "monitoring": monitoring,
        "logging": logging,
        "vali": vali,
        "victoriaLogs": victoria_logs,
        "persesOperator": flag(landscape, "/spec/observability/persesOperator"),
        "dashboards": plutono,
        "hosts": hosts,
        "doors": doors,
        "gateway": {"namespace": exposure::namespace(None, None), "labels": exposure::labels(None, None)},
    })
}

/// `observability` of a shoot's context.
pub(super) fn settings(watched: &Watched<'_>) -> Value {
    let wanted = at(watched.landscape, "/spec/observability");
    // Clusters for tests are not watched.
    let watch = watched.purpose != "testing";
    let monitoring = watch && is_monitored(watched.landscape);
    let logging = watch && flag(wanted, "/logging");
    let (vali, victoria_logs) = backends(watched.landscape, logging);
    let plutono = monitoring || vali;
    let silent = text(watched.shoot, "/metadata/annotations/shoot.gardener.cloud~1ignore-alerts") == "true";
    let receivers = texts(watched.shoot, "/spec/monitoring/alerting/emailReceivers");
    let alertmanager = monitoring && !silent && !receivers.is_empty();
    let whose = format!("{}--{}", text(watched.id, "/project"), text(watched.id, "/name"));
    let (hosts, doors) = doors(
        &[
            Door {
                open: monitoring,
                component: "prometheus",
                prefix: "p",
                service: "prometheus-shoot",
                port: 80,
                closed: OF_PROMETHEUS,
            },
            Door {
                open: alertmanager,
                component: "alertmanager",
                prefix: "au",
                service: "alertmanager-shoot",
                port: 9093,
                closed: &["/-/reload"],
            },
            Door { open: plutono, component: "plutono", prefix: "gu", service: "plutono", port: 3000, closed: OF_PLUTONO },
        ],
        &whose,
        text(watched.seed, "/spec/ingress/domain"),
    );
    let mail = at(wanted, "/mail");
    json!({
        "monitoring": monitoring,
        "logging": logging,
        "vali": vali,
        "victoriaLogs": victoria_logs,
        // How full volumes are is asked of the seed's Prometheus.
        "volumesGrow": is_monitored(watched.landscape)
            && flag(watched.seed, "/spec/settings/persistentVolumeClaimAutoscaler/enabled"),
        "dashboards": plutono,
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

    #[test]
    fn logs_are_kept_in_what_is_chosen_and_shown_where_plutono_finds_them() {
        let parts = |value: &Value| ["vali", "victoriaLogs", "dashboards"].map(|part| value[part] == true);
        for (backends, expected) in [
            (json!(null), [true, false, true]),
            (json!([]), [true, false, true]),
            (json!(["Vali"]), [true, false, true]),
            (json!(["unheard-of"]), [true, false, true]),
            (json!(["Vali", "VictoriaLogs"]), [true, true, true]),
            (json!(["VictoriaLogs"]), [false, true, false]),
        ] {
            let wanted = json!({"monitoring": false, "logging": true, "logBackends": backends});
            assert_eq!(parts(&of(&json!({}), &wanted, "production")), expected, "{wanted}");
            assert_eq!(parts(&of_seed(&json!({}), &json!({"spec": {"observability": wanted}}))), expected, "{wanted}");
        }
        let none = json!({"monitoring": false, "logBackends": ["VictoriaLogs"]});
        assert_eq!(parts(&of(&json!({}), &none, "production")), [false; 3], "there are no logs");
        assert_eq!(parts(&of(&json!({}), &json!({"logging": true, "logBackends": ["VictoriaLogs"]}), "testing")), [false; 3]);
    }

    #[test]
    fn a_seed_has_what_its_landscape_watches_and_doors_below_its_domain() {
        let seed = json!({"spec": {"ingress": {"domain": "i.example.org"}}});
        let of = |wanted: Value| of_seed(&seed, &json!({"spec": {"observability": wanted}}));
        let hosts = |value: &Value| -> Vec<String> {
            value["doors"].as_array().into_iter().flatten().map(|door| text(door, "/host").to_owned()).collect()
        };
        let usual = of(Value::Null);
        assert_eq!(hosts(&usual), ["p-seed.i.example.org", "g-seed.i.example.org"]);
        assert_eq!((&usual["logging"], &usual["doors"][0]["label"]), (&json!(false), &json!("p-seed")));
        let logs = of(json!({"monitoring": false, "logging": true}));
        assert_eq!((hosts(&logs), &logs["dashboards"]), (vec!["g-seed.i.example.org".to_owned()], &json!(true)));
        assert_eq!(of(json!({"monitoring": false}))["dashboards"], false);
        let nameless = of_seed(&json!({}), &json!({}));
        assert_eq!((&nameless["doors"], &nameless["hosts"]["plutono"]), (&json!([]), &json!("")));
    }
}
