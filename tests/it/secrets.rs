//! What exists, what is made next, and what is renewed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use espalier::landscape::Target;
use espalier::observed::{Object, ObjectKey};
use espalier::render::Scope;
use espalier::secrets::{self, Ensured, Generate, Recipe, Wanted, ensure};
use proptest::prelude::*;
use serde_json::{Value, json};

const NS: &str = "shoot--dev--web";
const DAY: i64 = 24 * 60 * 60;
const START: i64 = 1_790_000_000;

fn target() -> Target {
    Target::Seed("eu".into())
}

fn context() -> Value {
    json!({
        "id": {"technicalID": NS},
        "workerless": false,
        "sshAccess": true,
        "domain": {"internal": "web.dev.internal.example.org", "apiInternal": "api.web.dev.internal.example.org", "external": "web.example.org", "apiExternal": "api.web.example.org"},
        "networks": {"apiServerIP": "100.64.0.1"},
    })
}

fn wanted(named: &[&str]) -> Vec<Wanted> {
    secrets::wanted(Scope::Shoot, &context(), &named.iter().map(|n| (*n).to_owned()).collect())
}

/// The object that `apply` would have made.
fn made(generate: &Generate, at: i64, valid: Option<i64>) -> Object {
    let mut labels = generate.labels.clone();
    labels.insert("issued-at-time".into(), at.to_string());
    if let Some(valid) = valid {
        labels.insert("valid-until-time".into(), (at + valid).to_string());
    }
    Object {
        key: ObjectKey::new("", "Secret", &generate.namespace, &generate.name),
        api_version: "v1".into(),
        uid: format!("uid-of-{}-{at}", generate.name),
        resource_version: "1".into(),
        generation: 0,
        deleting: false,
        finalizers: Vec::new(),
        labels,
        annotations: BTreeMap::new(),
        controlled: false,
        fields: None,
        kept: Arc::new(Value::Null),
    }
}

fn pass(wanted: &[Wanted], have: &[Object], now: i64) -> Ensured {
    ensure(wanted, NS, &target(), &have.iter().collect::<Vec<_>>(), now)
}

fn make_all(generate: &[Generate], at: i64) -> Vec<Object> {
    let valid = |g: &Generate| {
        matches!(g.wanted.recipe, Recipe::Certificate { .. } | Recipe::ClientKubeconfig { .. }).then_some(3650 * DAY)
    };
    generate.iter().map(|g| made(g, at, valid(g))).collect()
}

/// Makes everything, pass by pass, and returns it with the number of passes.
fn settle(wanted: &[Wanted], mut have: Vec<Object>, now: i64) -> (Vec<Object>, usize) {
    for passes in 0..10 {
        let ensured = pass(wanted, &have, now);
        if ensured.generate.is_empty() {
            return (have, passes);
        }
        have.extend(make_all(&ensured.generate, now));
    }
    panic!("it never settles");
}

fn configs(generate: &[Generate]) -> BTreeSet<&str> {
    generate.iter().map(|g| g.wanted.config.as_str()).collect()
}

#[test]
fn only_what_templates_name_is_wanted_with_what_it_is_made_from() {
    let configs = |named: &[&str]| wanted(named).into_iter().map(|w| w.config).collect::<Vec<_>>();
    assert_eq!(configs(&["etcd-client"]), ["ca-etcd", "etcd-client"]);
    assert_eq!(configs(&["ca-bundle"]), ["ca", "ca-bundle"]);
    assert_eq!(
        configs(&["shoot-access-gardener-resource-manager-bootstrap"]),
        ["ca", "ca-bundle", "ca-client", "shoot-access-gardener-resource-manager-bootstrap"]
    );
    assert!(configs(&["nothing-of-the-kind"]).is_empty());
    let workerless = json!({"id": {"technicalID": NS}, "workerless": true});
    let named = ["ca-kubelet", "ssh-keypair", "kube-scheduler-server", "ca"].map(str::to_owned).into();
    let found: Vec<String> = secrets::wanted(Scope::Shoot, &workerless, &named).into_iter().map(|w| w.config).collect();
    assert_eq!(found, ["ca"]);
    assert!(secrets::configs(Scope::Shoot).contains("kube-apiserver-kubelet"));
    assert_eq!(secrets::wanted(Scope::Garden, &json!({}), &BTreeSet::new())[0].config, secrets::DIGEST_KEY);
}

#[test]
fn an_authority_comes_before_what_it_signs() {
    let wanted = wanted(&["kube-apiserver", "ca-bundle", "service-account-key", "etcd-client", "generic-token-kubeconfig"]);
    let first = pass(&wanted, &[], START);
    assert_eq!(configs(&first.generate), BTreeSet::from(["ca", "ca-etcd", "service-account-key"]));
    assert!(first.names.is_empty());
    let have = make_all(&first.generate, START);
    let second = pass(&wanted, &have, START + 1);
    assert_eq!(configs(&second.generate), BTreeSet::from(["kube-apiserver", "ca-bundle", "etcd-client"]));
    let leaf = second.generate.iter().find(|g| g.wanted.config == "kube-apiserver").expect("the certificate");
    assert_eq!(leaf.reads, BTreeMap::from([("ca".to_owned(), "ca".to_owned())]));
    assert!(!second.names.contains_key("kube-apiserver"));
    let (have, passes) = settle(&wanted, have, START + 1);
    assert_eq!(passes, 2);
    let last = pass(&wanted, &have, START + 2);
    assert_eq!(last.names.len(), wanted.len());
    assert!(last.unwanted.is_empty());
    assert!(last.names["ca-bundle"].public && !last.names["ca"].public);
}

#[test]
fn names_and_labels_are_those_of_the_secrets_manager() {
    let wanted = wanted(&["kube-apiserver", "ca-client", "service-account-key"]);
    let (have, _) = settle(&wanted, Vec::new(), START);
    let names = pass(&wanted, &have, START).names;
    assert_eq!(names["ca"].current, "ca");
    for config in ["ca-client", "kube-apiserver", "service-account-key"] {
        let suffix = names[config].current.strip_prefix(&format!("{config}-")).expect("a suffix");
        assert!(suffix.len() == 8 && suffix.chars().all(|c| c.is_ascii_hexdigit()), "{suffix}");
    }
    let leaf = have.iter().find(|o| o.labels["name"] == "kube-apiserver").expect("made");
    for (label, value) in
        [("managed-by", "secrets-manager"), ("manager-identity", "gardenlet"), ("last-rotation-initiation-time", "")]
    {
        assert_eq!(leaf.labels[label], value);
    }
    assert!(leaf.labels["checksum-of-config"].parse::<u64>().is_ok());
    assert!(leaf.labels.values().all(|v| v.len() <= 63));
    let authority = have.iter().find(|o| o.labels["name"] == "ca-client").expect("made");
    assert_eq!(authority.labels["persist"], "true");
    assert_eq!(authority.labels["rotation-strategy"], "keepold");
}

#[test]
fn a_second_pass_changes_nothing() {
    let wanted = wanted(&["kube-apiserver", "ca-bundle", "etcd-server-main", "kube-apiserver-etcd-encryption-configuration"]);
    let (have, _) = settle(&wanted, Vec::new(), START);
    let first = pass(&wanted, &have, START + 10);
    let later = pass(&wanted, &have, START + 300 * DAY);
    assert!(first.generate.is_empty());
    assert_eq!(first.names, later.names);
    assert_eq!(first.again, Some(START + 3650 * DAY / 100 * 80));
}

#[test]
fn certificates_are_renewed_once_and_authorities_never() {
    let wanted = wanted(&["kube-apiserver"]);
    let (mut have, _) = settle(&wanted, Vec::new(), START);
    let due = START + 3650 * DAY / 100 * 80;
    assert!(pass(&wanted, &have, due - 1).generate.is_empty());
    let renewal = pass(&wanted, &have, due + 5);
    assert_eq!(configs(&renewal.generate), BTreeSet::from(["kube-apiserver"]));
    let old = renewal.names["kube-apiserver"].current.clone();
    // The old one serves until the new one was read back; noticing it later gives the same name.
    assert_eq!(renewal.generate[0].name, pass(&wanted, &have, due + 5000).generate[0].name);
    assert!(renewal.generate[0].name.starts_with(&format!("{old}-")));
    have.push(made(&renewal.generate[0], due + 6, Some(3650 * DAY)));
    let renewed = pass(&wanted, &have, due + 7);
    assert!(renewed.generate.is_empty());
    assert_ne!(renewed.names["kube-apiserver"].current, old);
    assert_eq!(renewed.unwanted, [old]);
    // Nothing is due at once for a short life.
    let short: Vec<Object> = have.iter().filter(|o| o.labels["name"] == "ca").cloned().collect();
    let generate = pass(&wanted, &short, START).generate;
    let mut short_lived = short.clone();
    short_lived.push(made(&generate[0], START, Some(5 * DAY)));
    assert!(pass(&wanted, &short_lived, START + 1).generate.is_empty());
}

#[test]
fn a_lost_authority_takes_its_certificates_along() {
    let wanted = wanted(&["kube-apiserver", "ca-bundle"]);
    let (have, _) = settle(&wanted, Vec::new(), START);
    let before = pass(&wanted, &have, START).names;
    let without: Vec<Object> = have.iter().filter(|o| o.labels["name"] != "ca").cloned().collect();
    let lost = pass(&wanted, &without, START + 1);
    assert_eq!(configs(&lost.generate), BTreeSet::from(["ca"]));
    // What runs with the old certificate goes on running.
    assert_eq!(lost.names["kube-apiserver"], before["kube-apiserver"]);
    let (have, _) = settle(&wanted, without, START + 2);
    let after = pass(&wanted, &have, START + 3).names;
    assert_ne!(after["kube-apiserver"].current, before["kube-apiserver"].current);
    assert_ne!(after["ca-bundle"].current, before["ca-bundle"].current);
    assert_ne!(after["ca"].checksum, before["ca"].checksum);
}

#[test]
fn a_new_name_of_the_server_makes_a_new_certificate() {
    let wanted = wanted(&["kube-apiserver"]);
    let (have, _) = settle(&wanted, Vec::new(), START);
    let mut moved = context();
    moved["domain"]["external"] = json!("elsewhere.example.org");
    let moved = secrets::wanted(Scope::Shoot, &moved, &BTreeSet::from(["kube-apiserver".to_owned()]));
    let ensured = pass(&moved, &have, START + 1);
    assert_eq!(configs(&ensured.generate), BTreeSet::from(["kube-apiserver"]));
    assert_eq!(ensured.names["ca"].current, "ca");
}

#[test]
fn foreign_and_leaving_secrets_do_not_count() {
    let wanted = wanted(&["etcd-client"]);
    let (have, _) = settle(&wanted, Vec::new(), START);
    let spoil = |change: &dyn Fn(&mut Object)| {
        let mut have = have.clone();
        have.iter_mut().for_each(change);
        pass(&wanted, &have, START).names.is_empty()
    };
    assert!(spoil(&|o| o.deleting = true));
    assert!(spoil(&|o| o.key.namespace = "other".into()));
    assert!(spoil(&|o| drop(o.labels.remove("managed-by"))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_what_is_there_does_not_matter(seed in any::<u64>(), drop in 0_usize..12, later in 0_i64..4000) {
        let wanted = wanted(&["kube-apiserver", "ca-bundle", "etcd-server-main", "etcd-client", "generic-token-kubeconfig", "service-account-key-bundle"]);
        let (mut have, _) = settle(&wanted, Vec::new(), START);
        let renewal = pass(&wanted, &have, START + 3000 * DAY);
        have.extend(make_all(&renewal.generate, START + 3000 * DAY));
        if drop < have.len() {
            have.remove(drop);
        }
        let straight = pass(&wanted, &have, START + later * DAY);
        let mut random = seed | 1;
        have.sort_by_cached_key(|_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        });
        let mut shuffled_wanted = wanted.clone();
        shuffled_wanted.reverse();
        prop_assert_eq!(straight, pass(&shuffled_wanted, &have, START + later * DAY));
    }
}
