//! Field ownership against a model: who owns what, and what a value is, after any sequence of applies and updates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fleet::simulated;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const MANAGERS: [&str; 3] = ["one", "two", "three"];

#[derive(Debug, Clone)]
enum Step {
    Apply { manager: &'static str, data: BTreeMap<&'static str, u8>, force: bool },
    Update { manager: &'static str, key: &'static str, value: Option<u8> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let manager = || prop::sample::select(&MANAGERS[..]);
    let key = || prop::sample::select(&KEYS[..]);
    let apply = (manager(), prop::collection::btree_map(key(), 0_u8..3, 0..4), any::<bool>())
        .prop_map(|(manager, data, force)| Step::Apply { manager, data, force });
    let update =
        (manager(), key(), prop::option::of(0_u8..3)).prop_map(|(manager, key, value)| Step::Update { manager, key, value });
    prop::collection::vec(prop_oneof![3 => apply, 1 => update], 1..14)
}

/// A manager and whether it applies.
type Manager = (&'static str, bool);

/// What ought to be.
#[derive(Debug, Default, Clone, PartialEq)]
struct Model {
    data: BTreeMap<&'static str, u8>,
    owned: BTreeMap<Manager, BTreeSet<&'static str>>,
    /// Who owns the map itself: whoever brought it into being by an update. An emptied map is not stored, and they own it still.
    holders: BTreeSet<Manager>,
}

impl Model {
    /// Whether the step is refused.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Apply { manager, data, force } => {
                let me = (*manager, true);
                let changed: BTreeSet<_> = data.iter().filter(|(k, v)| self.data.get(*k) != Some(v)).map(|(k, _)| *k).collect();
                let contested = self.owned.iter().any(|(who, keys)| *who != me && !keys.is_disjoint(&changed));
                let begins = self.data.is_empty() && !data.is_empty();
                if (contested || begins && !self.holders.is_empty()) && !force {
                    return true;
                }
                if begins {
                    self.holders.clear();
                }
                for (who, keys) in &mut self.owned {
                    if *who != me {
                        keys.retain(|key| !changed.contains(key));
                    }
                }
                let last = self.owned.insert(me, data.keys().copied().collect()).unwrap_or_default();
                for key in last {
                    if !self.owned.values().any(|keys| keys.contains(key)) {
                        self.data.remove(key);
                    }
                }
                self.data.extend(data.iter().map(|(k, v)| (*k, *v)));
            }
            Step::Update { manager, key, value } => {
                if self.data.get(key) == value.as_ref() {
                    return false;
                }
                for keys in self.owned.values_mut() {
                    keys.remove(key);
                }
                if let Some(value) = value {
                    if self.data.is_empty() {
                        self.holders = BTreeSet::from([(*manager, false)]);
                    }
                    self.data.insert(key, *value);
                    self.owned.entry((manager, false)).or_default().insert(key);
                } else {
                    self.data.remove(key);
                    if self.data.is_empty() {
                        self.holders.clear();
                    }
                }
            }
        }
        self.owned.retain(|_, keys| !keys.is_empty());
        false
    }
}

async fn perform(api: &Api<ConfigMap>, step: &Step) -> Result<ConfigMap, kube::Error> {
    match step {
        Step::Apply { manager, data, force } => {
            let data: BTreeMap<_, _> = data.iter().map(|(k, v)| (k, v.to_string())).collect();
            let mut body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"is": "here"}}});
            // Who applies an empty map owns the map, and conflicts with others who do; the model is about keys.
            if !data.is_empty() {
                body["data"] = json!(data);
            }
            let params = PatchParams { force: *force, ..PatchParams::apply(manager) };
            api.patch("a", &params, &Patch::Apply(body)).await
        }
        Step::Update { manager, key, value } => {
            let params = PatchParams { field_manager: Some((*manager).into()), ..PatchParams::default() };
            api.patch("a", &params, &Patch::Merge(json!({"data": {*key: value.map(|v| v.to_string())}}))).await
        }
    }
}

/// What is.
fn observed(object: &ConfigMap) -> Model {
    let known = |text: &str, list: &[&'static str]| list.iter().find(|k| **k == text).copied();
    let data = object.data.iter().flatten().map(|(k, v)| (known(k, &KEYS).unwrap(), v.parse().unwrap())).collect();
    let (mut owned, mut holders) = (BTreeMap::new(), BTreeSet::new());
    for entry in object.managed_fields() {
        let Some(manager) = known(entry.manager.as_deref().unwrap(), &MANAGERS) else { continue };
        let fields = &entry.fields_v1.as_ref().unwrap().0;
        let who = (manager, entry.operation.as_deref() == Some("Apply"));
        let map = fields.get("f:data").and_then(Value::as_object);
        if map.is_some_and(|map| map.is_empty() || map.contains_key(".")) {
            holders.insert(who);
        }
        let keys: BTreeSet<_> =
            map.into_iter().flatten().filter_map(|(key, _)| known(key.trim_start_matches("f:"), &KEYS)).collect();
        if !keys.is_empty() {
            owned.insert(who, keys);
        }
    }
    Model { data, owned, holders }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ownership_follows_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let api: Api<ConfigMap> = Api::namespaced(simulated("test").client(), "default");
            let keep = Step::Apply { manager: "base", data: BTreeMap::new(), force: false };
            perform(&api, &keep).await.unwrap();
            let mut model = Model::default();
            for step in &steps {
                let before = model.clone();
                let refused = model.step(step);
                match perform(&api, step).await {
                    Ok(object) => {
                        prop_assert!(!refused, "{step:?} should have been refused in {before:?}");
                        prop_assert_eq!(&observed(&object), &model, "after {:?} on {:?}", step, before);
                        let again = perform(&api, step).await.unwrap();
                        prop_assert_eq!(again.resource_version(), object.resource_version(), "{:?} twice", step);
                    }
                    Err(kube::Error::Api(status)) => {
                        prop_assert!(refused && status.code == 409, "{step:?} was refused in {before:?}: {}", status.message);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn managers_of_different_items_never_lose_each_others(ours in items(), theirs in items(), later in items()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let api: Api<Deployment> = Api::namespaced(simulated("test").client(), "default");
            let put = |manager: &'static str, prefix: &'static str, items: &BTreeMap<String, u8>| {
                let list: Vec<Value> = items.iter().map(|(k, v)| json!({"name": format!("{prefix}{k}"), "value": v.to_string()})).collect();
                let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {
                    "selector": {"matchLabels": {"app": "a"}},
                    "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "x", "env": list}]}},
                }});
                let api = api.clone();
                async move { api.patch("a", &PatchParams::apply(manager), &Patch::Apply(body)).await.unwrap() }
            };
            put("one", "x", &ours).await;
            put("two", "y", &theirs).await;
            let last = put("one", "x", &later).await;
            let mut wanted: Vec<(String, Option<String>)> = later.iter().map(|(k, v)| (format!("x{k}"), Some(v.to_string()))).collect();
            wanted.extend(theirs.iter().map(|(k, v)| (format!("y{k}"), Some(v.to_string()))));
            let env = last.spec.unwrap().template.spec.unwrap().containers[0].env.clone().unwrap_or_default();
            let mut found: Vec<_> = env.into_iter().map(|e| (e.name, e.value)).collect();
            found.sort();
            prop_assert_eq!(found, wanted);
            Ok(())
        })?;
    }
}

fn items() -> impl Strategy<Value = BTreeMap<String, u8>> {
    prop::collection::btree_map("[a-d]", 0_u8..3, 0..4)
}
