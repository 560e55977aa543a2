//! Plans and the way back: what a revision changes, the inverse changes back, except what admission refuses to take back; and what is
//! remembered between the two judgements says the same as judging anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use espalier::admission::policy::Policies;
use espalier::admission::{Accepted, Admitted, Differing, Memory, Settled, admit};
use espalier::finding::Findings;
use espalier::landscape::{FileMemo, Landscape, Owner, differing_shoots, load};
use espalier::plan::diff::{Field, fields};
use espalier::plan::intent::intent;
use espalier::snapshot::{RepoPath, Snapshot};
use proptest::prelude::*;

use crate::landscapes::{blob, folder, of};

const NOW: i64 = 1_795_219_200;

/// What may change in the local landscape: a file, a text in it, and what takes its place.
const EDITS: &[(&str, &str, &str)] = &[
    ("projects/shop/shoots/store.yaml", "maximum: 6", "maximum: 9"),
    ("projects/shop/shoots/store.yaml", "minimum: 0", "minimum: 1"),
    ("projects/shop/shoots/store.yaml", "version: 1.34.2 ", "version: 1.34.6 "),
    ("projects/shop/shoots/store.yaml", "size: 60Gi", "size: 80Gi"),
    ("projects/shop/shoots/store.yaml", "name: jobs", "name: night"),
    ("projects/shop/shoots/store.yaml", "team: storefront", "team: front"),
    ("projects/shop/shoots/store.yaml", "zones: [eu-west-1a]", "zones: [eu-west-1a, eu-west-1b]"),
    ("projects/shop/shoots/mini.yaml", "maximum: 1", "maximum: 3"),
    ("projects/shop/shoots/mini.yaml", "m6i.large", "m6i.xlarge"),
    ("projects/shop/shoots/mini.yaml", "type: calico", "type: cilium"),
    ("projects/shop/shoots/mini.yaml", "size: 25Gi", "size: twenty"),
    ("projects/shop/shoots/pay.yaml", "services: 100.64.0.0/13", "services: 100.96.0.0/13"),
    ("projects/lab/project.yaml", "Laboratory", "The laboratory"),
    ("cloudprofiles/aws.yaml", "name: m6i.large", "name: m6i.tiny"),
    ("landscape.yaml", "maxDeletions: 2", "maxDeletions: 1"),
];

fn base() -> &'static Snapshot {
    static BASE: OnceLock<Snapshot> = OnceLock::new();
    BASE.get_or_init(|| folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local")))
}

/// The local landscape with some edits, one file of it gone, and one more shoot.
fn edited(edits: &[usize], gone: bool, more: bool) -> Snapshot {
    let mut files = base().files.clone();
    for (path, from, to) in edits.iter().map(|i| EDITS[*i]) {
        let path = RepoPath::from(path);
        let text = std::str::from_utf8(&files[&path].bytes).expect("UTF-8").to_owned();
        assert!(text.contains(from), "{path} has no `{from}`");
        files.insert(path, blob(text.replacen(from, to, 1).as_bytes()));
    }
    if more {
        let text = std::str::from_utf8(&base().files["projects/shop/shoots/mini.yaml"].bytes).expect("UTF-8");
        let text = text.replace("name: mini", "name: more").replace("10.182.0.0/16", "10.183.0.0/16");
        files.insert(RepoPath::from("projects/shop/shoots/more.yaml"), blob(text.as_bytes()));
    }
    if gone {
        files.remove("projects/lab/shoots/farm.yaml");
    }
    of(files)
}

struct Judged {
    landscape: Landscape,
    policies: Policies,
}

fn read(snapshot: &Snapshot, memo: &mut FileMemo) -> Judged {
    let (landscape, _) = load(snapshot, memo);
    let (policies, _) = Policies::compile(&landscape.overlays);
    Judged { landscape, policies }
}

impl Judged {
    fn admit(&self, accepted: &Accepted, memory: &mut Memory) -> (Admitted, Findings) {
        let (mut admitted, findings) = admit(&self.landscape, accepted, &self.policies, NOW, memory);
        // How much was remembered is not part of the answer.
        admitted.evaluated = 0;
        (admitted, findings.sorted())
    }
}

fn accepted(admitted: &Admitted) -> Accepted {
    Accepted(Arc::new(admitted.objects.clone()))
}

/// A change and its inverse, as sets: a renamed item is called by both of its names on both ways.
fn told(fields: Vec<Field>, turned: bool) -> BTreeMap<String, (Option<serde_json::Value>, Option<serde_json::Value>)> {
    let one = |field: Field| {
        let (before, after) = if turned { (field.after, field.before) } else { (field.before, field.after) };
        let name = match (&before, &after) {
            (Some(was), Some(is)) if field.name.contains(" → ") => format!("rename {was} {is}"),
            _ => field.name,
        };
        (name, (before, after))
    };
    fields.into_iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_and_the_plan_back_are_inverse_but_for_what_cannot_be_taken_back(
        edits in proptest::sample::subsequence((0..EDITS.len()).collect::<Vec<_>>(), 0..6), gone: bool, more: bool,
    ) {
        let mut memo = FileMemo::default();
        let (a, b) = (read(base(), &mut memo), read(&edited(&edits, gone, more), &mut memo));
        let fresh = |side: &Judged, accepted: &Accepted| side.admit(accepted, &mut Memory::default());

        let mut memory = Memory::default();
        let (was, _) = a.admit(&Accepted::default(), &mut memory);
        memory.settle();
        let there = b.admit(&accepted(&was), &mut memory);
        prop_assert_eq!(&there, &fresh(&b, &accepted(&was)), "what is remembered says the same as judging anew");
        memory.settle();
        let back = a.admit(&accepted(&there.0), &mut memory);
        prop_assert_eq!(&back, &fresh(&a, &accepted(&there.0)), "and on the way back");

        // Judging only what differs says the same, where it says anything.
        memory.settle();
        let (mut settled, still, said) = Settled::new(&a.landscape, &accepted(&was), &a.policies, NOW, &mut memory);
        prop_assert_eq!((Admitted { evaluated: 0, ..still.clone() }, said.sorted()), fresh(&a, &accepted(&was)), "as it is");
        let alone = differing_shoots(&a.landscape, &b.landscape);
        let differing = alone.and_then(|documents| settled.judge(&b.landscape, &documents, &b.policies, NOW));
        if let Some(differing) = differing {
            let Differing { admitted, findings, owners, back: way_back } = differing;
            for (owner, manifest) in &there.0.objects {
                let judged = admitted.objects.get(owner).filter(|_| owners.contains(owner));
                prop_assert_eq!(judged.unwrap_or(&was.objects[owner]), manifest, "{}", owner);
            }
            let held = |owner: &&Owner| admitted.held.contains_key(*owner);
            prop_assert_eq!(owners.iter().filter(held).count(), there.0.held.len());
            prop_assert_eq!(&admitted.held, &there.0.held);
            let names: Vec<String> = owners.iter().map(ToString::to_string).collect();
            let of_them = there.1.iter().filter(|finding| names.contains(&finding.owner)).cloned().collect();
            prop_assert_eq!(findings.sorted(), Findings(of_them));
            let message = |admitted: &Admitted| -> BTreeMap<Owner, Vec<String>> {
                let held = admitted.held.iter();
                held.map(|(owner, held)| (owner.clone(), held.findings.iter().map(|f| f.message.clone()).collect())).collect()
            };
            prop_assert_eq!(message(&way_back), message(&back.0), "and on the way back");
        }

        let (is, back) = (there.0, back.0);
        for (owner, before) in &was.objects {
            let Some(after) = is.objects.get(owner) else { continue };
            let forth = told(fields(before, after), false);
            if back.held.contains_key(owner) {
                prop_assert!(!forth.is_empty(), "{} is refused although nothing of it was changed", owner);
                continue;
            }
            prop_assert_eq!(&back.objects[owner], before, "{} comes back as it was", owner);
            prop_assert_eq!(told(fields(after, &back.objects[owner]), true), forth);
        }
        // What was made is gone without confirmation on the way back: it stays.
        for owner in is.objects.keys().filter(|owner| !was.objects.contains_key(*owner)) {
            prop_assert!(back.gone.contains_key(owner), "{} would go without a word", owner);
        }
        let nothing = std::collections::BTreeSet::new();
        let library = espalier::digest::of_bytes(b"library");
        let digest = intent(&was.objects, &is, &BTreeMap::new(), &nothing, &library);
        prop_assert_eq!(digest.is_none(), was.objects == is.objects, "a plan has a digest if it changes something");
        prop_assert_eq!(digest, intent(&was.objects, &is, &BTreeMap::new(), &nothing, &library));
    }
}
