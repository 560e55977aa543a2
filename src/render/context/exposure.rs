//! The doors to the API servers of a seed's shoots: one for all, one for every handler of exposure classes, and of each one more for
//! every zone (`components/seed-and-garden.md` §2.4, `components/machines-and-network.md` §8).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{at, entries, list, text, texts};
use crate::digest;
use crate::value::name;

const APP: &str = "istio-ingressgateway";
const HANDLER: &str = "handler.exposureclass.gardener.cloud/name";

/// The namespace of a gateway.
pub(super) fn namespace(handler: Option<&str>, zone: Option<&str>) -> String {
    let base = handler.map_or_else(|| "istio-ingress".to_owned(), |handler| format!("istio-ingress-handler-{handler}"));
    let Some(zone) = zone else { return base };
    let plain = format!("{base}--{zone}");
    if name::dns1123_label(&plain).is_ok() { plain } else { format!("{base}--{}", &digest::of_bytes(zone.as_bytes()).0[..5]) }
}

/// What selects a gateway's pods.
pub(super) fn labels(handler: Option<&str>, zone: Option<&str>) -> Value {
    let of_zone = |role: &str| zone.map_or_else(|| role.to_owned(), |zone| format!("{role}--zone--{zone}"));
    match handler {
        None => json!({"app": APP, "istio": of_zone("ingressgateway"), "istio-role": "seed"}),
        Some(handler) => {
            json!({"app": APP, "gardener.cloud/role": of_zone("exposureclass-handler"), HANDLER: handler, "istio-role": "seed"})
        }
    }
}

/// Whether every zone of a seed has gateways of its own.
fn is_zonal(seed: &Value) -> bool {
    let wanted = at(seed, "/spec/settings/loadBalancerServices/zonalIngress/enabled").as_bool() != Some(false);
    wanted && list(seed, "/spec/provider/zones").len() > 1
}

/// The handlers that a landscape has, by name.
fn handler<'v>(landscape: &'v Value, name: &str) -> Option<&'v Value> {
    list(landscape, "/spec/exposureClassHandlers").iter().find(|handler| text(handler, "/name") == name)
}

/// Where a shoot's API server is reached: `{namespace, labels}`, whether that is the gateway for everybody, and the namespaces of all
/// gateways that lead to it once the seed has a wildcard certificate: names below its ingress domain are those of the gateway for
/// everybody. The zone is that of its control plane, if it has but one.
///
/// # Errors
/// The name of the handler that nobody has configured.
pub(super) fn gateway(seed: &Value, landscape: &Value, class: Option<&Value>, zones: &str) -> Result<Value, String> {
    let name = class.map(|class| text(class, "/handler"));
    if let Some(name) = name.filter(|name| handler(landscape, name).is_none()) {
        return Err(name.to_owned());
    }
    let zone = Some(zones).filter(|zones| !zones.is_empty() && !zones.contains(',') && is_zonal(seed));
    let (own, usual) = (namespace(name, zone), namespace(None, None));
    let all: BTreeSet<&str> = [own.as_str(), usual.as_str()].into();
    Ok(json!({"namespace": own, "labels": labels(name, zone), "usual": own == usual, "all": all}))
}

/// Whether an exposure class may be used on a seed.
fn allows(class: &Value, seed: &Value) -> bool {
    entries(class, "/scheduling/seedSelector/matchLabels")
        .all(|(key, value)| at(seed, "/metadata/labels").get(key) == Some(value))
}

/// Everything that a seed's gateways need: namespaces with their labels and zones, selectors, and settings of load balancers.
pub(super) fn gateways<'v>(seed: &Value, landscape: &Value, classes: impl Iterator<Item = &'v Value> + Clone) -> Vec<Value> {
    let all = texts(seed, "/spec/provider/zones");
    let zones: Vec<Option<&str>> =
        [None].into_iter().chain(all.iter().filter(|_| is_zonal(seed)).map(|zone| Some(*zone))).collect();
    let used = |name: &str| classes.clone().any(|class| text(class, "/handler") == name && allows(class, seed));
    let configured = list(landscape, "/spec/exposureClassHandlers").iter().map(|handler| text(handler, "/name"));
    let handlers = [None].into_iter().chain(configured.filter(|name| used(name)).map(Some));
    let of = |name: Option<&str>, zone: Option<&str>| one(seed, name.and_then(|name| handler(landscape, name)), name, zone, &all);
    handlers.flat_map(|name| zones.iter().map(move |zone| (name, *zone))).map(|(name, zone)| of(name, zone)).collect()
}

fn one(seed: &Value, handler: Option<&Value>, name: Option<&str>, zone: Option<&str>, all: &[&str]) -> Value {
    let balancer = at(seed, "/spec/settings/loadBalancerServices");
    let own = list(balancer, "/zones").iter().find(|own| Some(text(own, "/name")) == zone).unwrap_or(&Value::Null);
    let mut annotations = json!({});
    let general = if own.is_null() { balancer } else { own };
    for source in [at(general, "/annotations"), at(handler.unwrap_or(&Value::Null), "/loadBalancerService/annotations")] {
        for (key, value) in entries(source, "") {
            annotations[key] = value.clone();
        }
    }
    let first = |values: [&Value; 2]| values.into_iter().find(|value| !value.is_null()).unwrap_or(&Value::Null).clone();
    let labels = labels(name, zone);
    let mut of_namespace = match name {
        None => json!({"gardener.cloud/role": "istio-ingress", "istio": labels["istio"]}),
        Some(_) => json!({"gardener.cloud/role": labels["gardener.cloud/role"], HANDLER: labels[HANDLER]}),
    };
    let zones: Vec<&str> = zone.map_or_else(|| all.to_vec(), |zone| vec![zone]);
    if zones.len() == 1 {
        of_namespace["high-availability-config.resources.gardener.cloud/zone-pinning"] = json!("true");
    }
    json!({
        "namespace": namespace(name, zone),
        "labels": labels,
        "namespaceLabels": of_namespace,
        "zones": zones.join(","),
        "annotations": annotations,
        "class": first([at(handler.unwrap_or(&Value::Null), "/loadBalancerService/class"), at(balancer, "/class")]),
        // So many in each zone that it outlives the loss of one.
        "replicas": {"least": 2 * zones.len().max(1), "most": 16 * zones.len().max(1)},
        "proxyProtocol": first([at(own, "/proxyProtocol/allowed"), at(balancer, "/proxyProtocol/allowed")]) == json!(true),
        "externalTrafficPolicy": first([at(own, "/externalTrafficPolicy"), at(balancer, "/externalTrafficPolicy")]),
        "dualStack": list(seed, "/spec/networks/ipFamilies").len() > 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Value {
        json!({"metadata": {"labels": {"net": "open"}}, "spec": {
            "provider": {"zones": ["eu-a", "EU-B"]},
            "settings": {"loadBalancerServices": {"annotations": {"a": "1"}, "zones": [{"name": "EU-B", "annotations": {"b": "2"}}]}},
        }})
    }

    #[test]
    fn a_control_plane_in_one_zone_is_reached_there() {
        let landscape = json!({"spec": {"exposureClassHandlers": [{"name": "open"}]}});
        let class = json!({"handler": "open"});
        let at = |class: Option<&Value>, zones: &str| gateway(&seed(), &landscape, class, zones).expect("a gateway");
        assert_eq!(at(None, "eu-a,EU-B")["namespace"], "istio-ingress");
        let doors = |zones: &str| (at(None, zones)["usual"].clone(), at(None, zones)["all"].clone());
        assert_eq!(doors("eu-a,EU-B"), (json!(true), json!(["istio-ingress"])));
        assert_eq!(doors("eu-a"), (json!(false), json!(["istio-ingress", "istio-ingress--eu-a"])));
        assert_eq!(at(None, "eu-a")["labels"]["istio"], "ingressgateway--zone--eu-a");
        assert_eq!(at(None, "EU-B")["namespace"], "istio-ingress--7f960", "no namespace is called like that");
        let handled = at(Some(&class), "eu-a");
        assert_eq!(handled["namespace"], "istio-ingress-handler-open--eu-a");
        assert_eq!(handled["labels"]["gardener.cloud/role"], "exposureclass-handler--zone--eu-a");
        let mut whole = seed();
        whole["spec"]["settings"]["loadBalancerServices"]["zonalIngress"] = json!({"enabled": false});
        assert_eq!(gateway(&whole, &landscape, None, "eu-a").expect("a gateway")["namespace"], "istio-ingress");
        assert_eq!(gateway(&seed(), &json!({}), Some(&class), "eu-a"), Err("open".to_owned()));
    }

    #[test]
    fn a_seed_has_what_its_shoots_may_choose() {
        let landscape = json!({"spec": {"exposureClassHandlers": [
            {"name": "open", "loadBalancerService": {"annotations": {"a": "3"}, "class": "fast"}}, {"name": "closed"}, {"name": "idle"},
        ]}});
        let classes = [
            json!({"handler": "open", "scheduling": {"seedSelector": {"matchLabels": {"net": "open"}}}}),
            json!({"handler": "closed", "scheduling": {"seedSelector": {"matchLabels": {"net": "closed"}}}}),
        ];
        let all = gateways(&seed(), &landscape, classes.iter());
        let names: Vec<&str> = all.iter().map(|gateway| text(gateway, "/namespace")).collect();
        let open = ["istio-ingress-handler-open", "istio-ingress-handler-open--eu-a", "istio-ingress-handler-open--7f960"];
        assert_eq!(names, [["istio-ingress", "istio-ingress--eu-a", "istio-ingress--7f960"], open].concat());
        let annotations: Vec<&Value> = all.iter().map(|gateway| &gateway["annotations"]).collect();
        let (one, two, three) = (json!({"a": "1"}), json!({"b": "2"}), json!({"a": "3"}));
        assert_eq!(annotations, [&one, &one, &two, &three, &three, &json!({"a": "3", "b": "2"})]);
        assert_eq!((&all[0]["class"], &all[3]["class"]), (&Value::Null, &json!("fast")));
        let replicas = |n: usize| (&all[n]["replicas"]["least"], &all[n]["replicas"]["most"]);
        assert_eq!((replicas(0), replicas(1)), ((&json!(4), &json!(32)), (&json!(2), &json!(16))));
        assert!(all[0]["namespaceLabels"].get("high-availability-config.resources.gardener.cloud/zone-pinning").is_none());
        assert_eq!(all[1]["namespaceLabels"]["high-availability-config.resources.gardener.cloud/zone-pinning"], "true");
    }

    #[test]
    fn a_zone_may_have_its_own_word_about_the_proxy_protocol() {
        let mut seed = seed();
        let allowed = |seed: &Value| -> Vec<Value> {
            gateways(seed, &json!({}), [].iter()).into_iter().map(|gateway| gateway["proxyProtocol"].clone()).collect()
        };
        assert_eq!(allowed(&seed), [json!(false), json!(false), json!(false)]);
        let balancers = &mut seed["spec"]["settings"]["loadBalancerServices"];
        balancers["proxyProtocol"] = json!({"allowed": true});
        balancers["zones"][0]["proxyProtocol"] = json!({"allowed": false});
        assert_eq!(allowed(&seed), [json!(true), json!(true), json!(false)]);
    }
}
