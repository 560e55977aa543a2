//! The generator of large landscapes: what it writes is sound, mixed, and the same every time.

use std::collections::BTreeMap;

use espalier::landscape::{FileMemo, load};

use super::landscapes::{admitted, snapshot};

#[path = "../bench/generate.rs"]
#[expect(dead_code, reason = "the example's way in from the command line is not used here")]
pub(crate) mod generate;

#[test]
fn a_generated_landscape_is_admitted_without_a_warning() {
    let files = generate::landscape(120, 7);
    let (landscape, findings) = load(&snapshot(files.iter().map(|(p, t)| (p.as_str(), t.as_str()))), &mut FileMemo::default());
    assert!(findings.is_empty(), "{findings:#?}");
    let (admitted, findings) = admitted(&landscape);
    assert!(findings.is_empty(), "{findings:#?}");
    assert_eq!(admitted.fresh.len(), landscape.objects().count());
    let shoots: Vec<_> = landscape.shoots.values().map(|shoot| &shoot.spec.spec).collect();
    assert!(shoots.iter().any(|s| s.provider.workers.is_empty()), "workerless");
    assert!(shoots.iter().any(|s| s.hibernation.is_some()), "hibernated");
    assert!(shoots.iter().any(|s| s.control_plane.is_some()), "zonal");
    assert!(shoots.iter().any(|s| s.networking.as_ref().is_some_and(|n| n.ip_families.len() == 2)), "dual-stack");
    assert!(shoots.iter().any(|s| s.provider.workers.len() > 2 && s.kubernetes.kubelet.is_some()), "many pools");
}

#[test]
fn seeds_and_projects_are_never_overfull() {
    let files = generate::landscape(1_130, 1);
    let (landscape, findings) = load(&snapshot(files.iter().map(|(p, t)| (p.as_str(), t.as_str()))), &mut FileMemo::default());
    assert!(findings.is_empty());
    assert_eq!(landscape.shoots.len(), 1_130);
    let mut projects: BTreeMap<&str, usize> = BTreeMap::new();
    let mut regions: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for seed in landscape.seeds.values() {
        regions.entry(&seed.spec.spec.provider.region).or_default().1 += 250;
    }
    for (owner, shoot) in &landscape.shoots {
        *projects.entry(&owner.project).or_default() += 1;
        regions.entry(&shoot.spec.spec.region).or_default().0 += 1;
    }
    assert!(projects.values().all(|count| *count <= 25));
    assert!(regions.values().all(|(shoots, room)| shoots <= room), "{regions:?}");
}

#[test]
fn the_same_arguments_give_the_same_files() {
    assert_eq!(generate::landscape(40, 3), generate::landscape(40, 3));
    assert_ne!(generate::landscape(40, 3), generate::landscape(40, 4));
}
