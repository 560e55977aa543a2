//! Which extensions a seed needs: from the extension objects that its owners will write there to the registrations that are
//! responsible for them (`seed-and-garden.md` §3.1, `extension-contract.md` §4). Pure, and of one seed alone: what one seed lacks is
//! nothing to another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::admission::{Node, selects};

/// A kind and type of extension object, such as `Network/calico`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Need {
    /// The kind.
    pub kind: String,
    /// The type.
    pub of_type: String,
}

impl Need {
    /// A need from its parts.
    #[must_use]
    pub fn new(kind: &str, of_type: &str) -> Self {
        Self { kind: kind.to_owned(), of_type: of_type.to_owned() }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.of_type)
    }
}

/// What is asked of the registrations for one seed.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// The seed's labels.
    pub labels: Value,
    /// Whether the seed is confirmed to go: then nothing is installed for its own sake.
    pub deleting: bool,
    /// How many shoots are on it.
    pub shoots: usize,
    /// What is needed, and by whom, in a person's words.
    pub needs: BTreeMap<Need, BTreeSet<String>>,
}

/// What comes of a demand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Required {
    /// The registrations that are wanted on the seed, each with the reason.
    pub wanted: BTreeMap<String, String>,
    /// What no registration at all is responsible for, and who needs it.
    pub unserved: BTreeMap<Need, BTreeSet<String>>,
}

/// The kinds and types that a registration is responsible for, primary or not.
pub fn served(registration: &Value) -> impl Iterator<Item = Need> + '_ {
    let resources = registration.pointer("/spec/resources").and_then(Value::as_array);
    let text = |resource: &Value, key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    resources.into_iter().flatten().map(move |r| Need { kind: text(r, "kind"), of_type: text(r, "type") })
}

/// Whether a registration may be installed on a seed with these labels.
#[must_use]
pub fn may_be_on(registration: &Value, labels: &Value) -> bool {
    let selector = registration.pointer("/spec/deployment/seedSelector").filter(|selector| !selector.is_null());
    selector.is_none_or(|selector| selects(&Node::root(selector), &Node::root(labels)).is_ok())
}

/// Decides which registrations a seed wants. `registrations` are all that there are, by name, with whether they are confirmed to go:
/// those are installed nowhere, and what only they are responsible for is not said to be nobody's.
#[must_use]
pub fn required<'r>(demand: &Demand, registrations: impl IntoIterator<Item = (&'r str, &'r Value, bool)>) -> Required {
    let mut out = Required { unserved: demand.needs.clone(), ..Required::default() };
    for (name, registration, going) in registrations {
        let mut reason = None;
        for need in served(registration) {
            if let Some(users) = demand.needs.get(&need) {
                out.unserved.remove(&need);
                reason.get_or_insert_with(|| format!("{need} for {}", some(users)));
            }
        }
        let policy = registration.pointer("/spec/deployment/policy").and_then(Value::as_str).unwrap_or("OnDemand");
        let by_policy = match policy {
            "Always" => !demand.deleting,
            "AlwaysExceptNoShoots" => demand.shoots > 0,
            _ => false,
        };
        if by_policy {
            reason.get_or_insert_with(|| format!("its policy is {policy}"));
        }
        if let Some(reason) = reason
            && !going
            && may_be_on(registration, &demand.labels)
        {
            out.wanted.insert(name.to_owned(), reason);
        }
    }
    out
}

/// The first of some users, and how many more there are.
#[must_use]
pub fn some(users: &BTreeSet<String>) -> String {
    let first = users.first().map(String::as_str).unwrap_or_default();
    match users.len() {
        0 | 1 => first.to_owned(),
        more => format!("{first} and {} more", more - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn registration(resources: &[(&str, &str)], policy: &str) -> Value {
        let resources: Vec<Value> = resources.iter().map(|(kind, of_type)| json!({"kind": kind, "type": of_type})).collect();
        json!({"spec": {"resources": resources, "deployment": {"policy": policy}}})
    }

    fn demand(needs: &[(&str, &str, &str)]) -> Demand {
        let mut out = Demand { labels: json!({"tier": "gold"}), shoots: needs.len(), ..Demand::default() };
        for (kind, of_type, user) in needs {
            out.needs.entry(Need::new(kind, of_type)).or_default().insert((*user).to_owned());
        }
        out
    }

    #[test]
    fn what_is_needed_is_wanted_and_says_by_whom() {
        let calico = registration(&[("Network", "calico")], "OnDemand");
        let cilium = registration(&[("Network", "cilium")], "OnDemand");
        let demand = demand(&[("Network", "calico", "a/one"), ("Network", "calico", "b/two"), ("Worker", "none", "a/one")]);
        let required = required(&demand, [("calico", &calico, false), ("cilium", &cilium, false)]);
        assert_eq!(required.wanted, BTreeMap::from([("calico".to_owned(), "Network/calico for a/one and 1 more".to_owned())]));
        let unserved: Vec<String> = required.unserved.keys().map(ToString::to_string).collect();
        assert_eq!(unserved, ["Worker/none"]);
    }

    #[test]
    fn policies_want_without_being_asked_and_a_selector_or_a_deletion_forbids() {
        let wanted = |registration: &Value, demand: &Demand, going: bool| {
            required(demand, [("x", registration, going)]).wanted.into_values().next()
        };
        let (none, some) = (demand(&[]), demand(&[("Extension", "other", "a/one")]));
        let always = registration(&[("Extension", "x")], "Always");
        let unless_empty = registration(&[("Extension", "x")], "AlwaysExceptNoShoots");
        assert_eq!(wanted(&always, &none, false).as_deref(), Some("its policy is Always"));
        assert_eq!(wanted(&always, &none, true), None);
        assert_eq!(wanted(&always, &Demand { deleting: true, ..none.clone() }, false), None);
        assert_eq!(wanted(&unless_empty, &none, false), None);
        assert_eq!(wanted(&unless_empty, &some, false).as_deref(), Some("its policy is AlwaysExceptNoShoots"));
        let mut picky = always.clone();
        picky["spec"]["deployment"]["seedSelector"] = json!({"matchLabels": {"tier": "silver"}});
        assert_eq!(wanted(&picky, &none, false), None);
        picky["spec"]["deployment"]["seedSelector"] = json!({"matchLabels": {"tier": "gold"}});
        assert!(wanted(&picky, &none, false).is_some());
    }

    #[test]
    fn what_only_a_going_registration_serves_is_not_installed_and_not_nobodys() {
        let calico = registration(&[("Network", "calico")], "OnDemand");
        let demand = demand(&[("Network", "calico", "a/one")]);
        assert_eq!(required(&demand, [("calico", &calico, true)]), Required::default());
    }

    proptest! {
        /// Whatever is needed is served by a wanted registration or said to be nobody's; nothing is wanted that serves no need;
        /// the order of registrations makes no difference.
        #[test]
        fn every_need_is_met_or_told(
            needs in prop::collection::btree_set((0_u8..3, 0_u8..4), 0..8),
            offers in prop::collection::vec(prop::collection::vec((0_u8..3, 0_u8..4), 0..4), 0..5),
        ) {
            let name = |pair: &(u8, u8)| (format!("K{}", pair.0), format!("t{}", pair.1));
            let mut demand = Demand::default();
            for need in &needs {
                let (kind, of_type) = name(need);
                demand.needs.entry(Need::new(&kind, &of_type)).or_default().insert("a/one".to_owned());
            }
            let registrations: Vec<(String, Value)> = offers.iter().enumerate().map(|(n, offer)| {
                let resources: Vec<Value> = offer.iter().map(name).map(|(kind, of_type)| json!({"kind": kind, "type": of_type})).collect();
                (format!("r{n}"), json!({"spec": {"resources": resources}}))
            }).collect();
            let all = || registrations.iter().map(|(name, value)| (name.as_str(), value, false));
            let forward = required(&demand, all());
            prop_assert_eq!(&forward, &required(&demand, registrations.iter().rev().map(|(n, v)| (n.as_str(), v, false))));
            for need in demand.needs.keys() {
                let serving = all().filter(|(_, value, _)| served(value).any(|s| s == *need)).map(|(name, ..)| name);
                let serving: BTreeSet<&str> = serving.collect();
                prop_assert_eq!(serving.is_empty(), forward.unserved.contains_key(need));
                prop_assert!(serving.iter().all(|name| forward.wanted.contains_key(*name)));
            }
            for name in forward.wanted.keys() {
                let (_, value) = registrations.iter().find(|(n, _)| n == name).expect("it is one of them");
                prop_assert!(served(value).any(|need| demand.needs.contains_key(&need)));
            }
        }
    }
}
