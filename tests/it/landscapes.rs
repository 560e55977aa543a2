//! The landscapes that are shipped: whole, without a finding, and of the shapes that they promise.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use espalier::admission::policy::Policies;
use espalier::admission::{Accepted, Admitted, Memory, admit};
use espalier::facts::Facts;
use espalier::finding::{Findings, Severity};
use espalier::landscape::{FileMemo, Kind, Landscape, Owner, load};
use espalier::library::Library;
use espalier::render::context::Identity;
use espalier::render::{self, Inputs, Rendering};
use espalier::secrets::Bodies;
use espalier::snapshot::{Blob, BlobId, EntryKind, RepoPath, Revision, Snapshot, Verdict};
use serde_json::Value;

/// A snapshot of files by path and text.
pub(crate) fn snapshot<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Snapshot {
    let files = files.into_iter().map(|(path, text)| (RepoPath::from(path), blob(text.as_bytes()))).collect();
    of(files)
}

pub(crate) fn of(files: BTreeMap<RepoPath, Blob>) -> Snapshot {
    Snapshot {
        revision: Revision("0".repeat(40)),
        committed: 1_800_000_000,
        author: "Ada <ada@example.org>".into(),
        subject: "test".into(),
        verdict: Verdict::Unchecked,
        files,
    }
}

pub(crate) fn blob(bytes: &[u8]) -> Blob {
    let id = espalier::digest::of_bytes(bytes);
    Blob { id: BlobId(Arc::from(id.as_str())), kind: EntryKind::File, bytes: Arc::from(bytes) }
}

/// The files of a folder, by path below it.
pub(crate) fn folder(root: &Path) -> Snapshot {
    fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<RepoPath, Blob>) {
        for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                files.insert(RepoPath::from(name), blob(&fs::read(&path).expect("the file can be read")));
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(root, root, &mut files);
    of(files)
}

/// Admits a whole landscape for the first time. Returns what is more than a note.
pub(crate) fn admitted(landscape: &Landscape) -> (Admitted, Findings) {
    let (policies, findings) = Policies::compile(&landscape.overlays);
    assert!(findings.is_empty(), "{findings:#?}");
    let now = 1_795_219_200;
    let (admitted, findings) = admit(landscape, &Accepted::default(), &policies, now, &mut Memory::default());
    (admitted, Findings(findings.into_iter().filter(|f| f.severity != Severity::Note).collect()))
}

/// Renders the shoot `shop/mini` on seed `aws-eu1` without a cluster.
pub(crate) fn render_mini(objects: &BTreeMap<Owner, Arc<Value>>, library: &Library) -> Rendering {
    let identity = Identity {
        uid: Some("11111111-2222-3333-4444-555555555555".into()),
        technical_id: Some("shoot--shop--mini".into()),
        seed: Some("aws-eu1".into()),
        ..Identity::default()
    };
    let owner = Owner::project(Kind::Shoot, "shop", "mini");
    let prepared = render::prepare(objects, &owner, &identity, library).expect("everything is known").expect("a shoot");
    let (facts, bodies) = (Facts::default(), Bodies::default());
    let inputs =
        Inputs { prepared: &prepared, library, ensured: None, facts: &facts, bodies: &bodies, digest_key: None, offline: true };
    render::render(&inputs)
}

fn local() -> Landscape {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local");
    let (landscape, findings) = load(&folder(&root), &mut FileMemo::default());
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(landscape.broken.is_empty() && landscape.unknown.is_empty());
    landscape
}

#[test]
fn the_local_landscape_is_whole() {
    let landscape = local();
    assert_eq!(landscape.name, "local");
    assert!(landscape.landscape.as_ref().expect("landscape.yaml is there").spec.spec.is_sim());
    assert_eq!(landscape.seeds.len(), 2);
    assert_eq!(landscape.projects.len(), 2);
    assert_eq!(landscape.cloud_profiles.len(), 2);
    assert!(landscape.shoots.len() >= 6);
    for (owner, shoot) in &landscape.shoots {
        assert!(owner.project.len() + owner.name.len() <= 21, "{owner}");
        assert!(landscape.projects.contains_key(&Owner::cluster(Kind::Project, &owner.project)), "{owner}");
        let profile = landscape.cloud_profile_of(&shoot.spec, &owner.project).expect("the profile is there");
        let version = shoot.spec.spec.kubernetes.version.as_deref();
        assert!(profile.kubernetes.versions.iter().any(|v| Some(v.version.as_str()) == version), "{owner}");
        for worker in &shoot.spec.spec.provider.workers {
            assert!(profile.machine_types.iter().any(|t| t.name == worker.machine.kind), "{owner} {}", worker.name);
            let region = profile.regions.iter().find(|r| r.name == shoot.spec.spec.region).expect("the region is offered");
            assert!(worker.zones.iter().all(|zone| region.zones.iter().any(|z| z.name == *zone)), "{owner} {}", worker.name);
        }
    }
}

#[test]
fn what_local_shoots_use_is_registered() {
    let landscape = local();
    let registered: Vec<(String, String)> = landscape
        .controller_registrations
        .values()
        .flat_map(|r| r.spec.spec.resources.iter().map(|resource| (resource.kind.clone(), resource.type_.clone())))
        .collect();
    let has = |kind: &str, of: &str| registered.iter().any(|(k, t)| k == kind && t == of);
    for (owner, shoot) in &landscape.shoots {
        let spec = &shoot.spec.spec;
        if spec.provider.workers.is_empty() {
            continue;
        }
        for kind in ["Infrastructure", "ControlPlane", "Worker"] {
            assert!(has(kind, &spec.provider.kind), "{owner}: {kind} {}", spec.provider.kind);
        }
        let network = spec.networking.as_ref().and_then(|n| n.kind.as_deref()).expect("the network plugin is named");
        assert!(has("Network", network), "{owner}: {network}");
        for image in spec.provider.workers.iter().filter_map(|w| w.machine.image.as_ref()) {
            assert!(has("OperatingSystemConfig", &image.name), "{owner}: {}", image.name);
        }
    }
    for (owner, seed) in &landscape.seeds {
        let spec = &seed.spec.spec;
        assert!(has("BackupBucket", &spec.backup.as_ref().expect("backups are taken").provider), "{owner}");
        assert!(spec.dns.defaults.iter().all(|dns| has("DNSRecord", &dns.kind)), "{owner}");
    }
}

#[test]
fn the_local_landscape_is_admitted_without_a_warning() {
    let landscape = local();
    let (admitted, findings) = admitted(&landscape);
    assert!(findings.is_empty(), "{findings:#?}");
    assert_eq!(admitted.fresh.len(), landscape.objects().count());
}
