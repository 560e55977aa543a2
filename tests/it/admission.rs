//! Admission, from the files of a commit to findings: what is said, where, and who is held.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use espalier::admission::policy::Policies;
use espalier::admission::{self, Accepted, Admitted, Gone, Memory, admit};
use espalier::finding::{Findings, Severity};
use espalier::landscape::{self, Kind, Landscape, Owner};
use espalier::memo::Memo;
use espalier::snapshot::{Blob, BlobId, EntryKind, RepoPath, Revision, Snapshot, Verdict};
use serde_json::Value;

/// 2026-11-21.
const NOW: i64 = 1_795_219_200;

type Files = BTreeMap<&'static str, String>;

const LANDSCAPE: &str = "apiVersion: espalier.dev/v1alpha1
kind: Landscape
metadata: {name: test}
spec:
  domains: {internal: internal.example.org, default: shoots.example.org}
  clusters: sim
";

const PROFILE: &str = "apiVersion: core.gardener.cloud/v1beta1
kind: CloudProfile
metadata:
  name: local
spec:
  type: local
  kubernetes:
    versions:
    - version: 1.36.0
      classification: preview
    - version: 1.35.2
      classification: supported
    - version: 1.34.6
      classification: supported
    - version: 1.34.1
      classification: deprecated
      expirationDate: \"2090-01-01T00:00:00Z\"
    - version: 1.33.9
      classification: supported
    - version: 1.32.1
      classification: deprecated
      expirationDate: \"2026-01-01T00:00:00Z\"
  machineImages:
  - name: gardenlinux
    versions:
    - version: 1877.3.0
      architectures: [amd64, arm64]
    - version: 1592.9.0
      architectures: [amd64]
  machineTypes:
  - {name: small, cpu: \"2\", gpu: \"0\", memory: 4Gi}
  - {name: arm, cpu: \"4\", gpu: \"0\", memory: 8Gi, architecture: arm64}
  - {name: gone, cpu: \"4\", gpu: \"0\", memory: 8Gi, usable: false}
  volumeTypes:
  - {name: ssd, class: premium, minSize: 20Gi}
  regions:
  - name: eu
    zones: [{name: eu-a}, {name: eu-b, unavailableMachineTypes: [arm]}, {name: eu-c}]
  - name: us
    zones: [{name: us-a}]
";

const SEED: &str = "apiVersion: core.gardener.cloud/v1beta1
kind: Seed
metadata:
  name: eu-1
spec:
  provider: {type: local, region: eu, zones: [eu-a, eu-b, eu-c]}
  networks:
    nodes: 10.1.0.0/16
    pods: 10.2.0.0/16
    services: 10.3.0.0/16
    shootDefaults: {pods: 100.96.0.0/11, services: 100.64.0.0/13}
  dns:
    internal: {type: local, domain: internal.example.org, credentialsRef: {apiVersion: v1, kind: Secret, name: dns, namespace: garden}}
    provider: {type: local, credentialsRef: {apiVersion: v1, kind: Secret, name: dns, namespace: garden}}
  ingress: {domain: ingress.eu-1.example.org, controller: {kind: nginx}}
";

const PROJECT: &str = "apiVersion: core.gardener.cloud/v1beta1
kind: Project
metadata:
  name: shop
spec:
  namespace: garden-shop
  owner: {kind: User, name: ada@example.org}
";

const BINDING: &str = "apiVersion: security.gardener.cloud/v1alpha1
kind: CredentialsBinding
metadata: {name: local, namespace: garden-shop}
provider: {type: local}
credentialsRef: {apiVersion: v1, kind: Secret, name: local, namespace: garden-shop}
";

const SHOOT: &str = "apiVersion: core.gardener.cloud/v1beta1
kind: Shoot
metadata:
  name: prod
spec:
  cloudProfile:
    name: local
  region: eu
  credentialsBindingName: local
  kubernetes:
    version: 1.34.6
  networking:
    type: calico
    nodes: 10.250.0.0/16
    pods: 100.96.0.0/11
    services: 100.64.0.0/13
  provider:
    type: local
    workers:
    - name: pool
      minimum: 1
      maximum: 3
      machine:
        type: small
        image: {name: gardenlinux, version: 1877.3.0}
      zones: [eu-a]
";

const SHOOT_PATH: &str = "projects/shop/shoots/prod.yaml";

fn files() -> Files {
    [
        ("landscape.yaml", LANDSCAPE),
        ("cloudprofiles/local.yaml", PROFILE),
        ("seeds/eu-1.yaml", SEED),
        ("projects/shop/project.yaml", PROJECT),
        ("projects/shop/credentials/local.yaml", BINDING),
        (SHOOT_PATH, SHOOT),
    ]
    .map(|(path, text)| (path, text.to_owned()))
    .into()
}

fn edited(mut files: Files, path: &'static str, edits: &[(&str, &str)]) -> Files {
    let text = files.get_mut(path).expect("the file is there");
    for (from, to) in edits {
        assert!(text.contains(from), "{path} has no `{from}`");
        *text = text.replacen(from, to, 1);
    }
    files
}

fn load(files: &Files) -> (Landscape, Findings) {
    let blob =
        |text: &String| Blob { id: BlobId(Arc::from(text.as_str())), kind: EntryKind::File, bytes: text.as_bytes().into() };
    let snapshot = Snapshot {
        revision: Revision("0".repeat(40)),
        committed: NOW,
        author: String::new(),
        subject: String::new(),
        verdict: Verdict::Unchecked,
        files: files.iter().map(|(path, text)| (RepoPath::from(*path), blob(text))).collect(),
    };
    landscape::load(&snapshot, &mut Memo::default())
}

fn run(files: &Files, accepted: &Accepted) -> (Admitted, Findings) {
    let (landscape, mut findings) = load(files);
    let (policies, problems) = Policies::compile(&landscape.overlays);
    let (admitted, found) = admit(&landscape, accepted, &policies, NOW, &mut Memory::default());
    findings.extend(problems);
    findings.extend(found);
    (admitted, findings.sorted())
}

/// What running a landscape accepts.
fn accepted(files: &Files) -> Accepted {
    let (admitted, findings) = run(files, &Accepted::default());
    assert!(!findings.has_errors(), "{findings:#?}");
    Accepted(Arc::new(admitted.objects))
}

/// Errors and warnings as `path:line:col code message`.
fn shown(findings: &Findings) -> String {
    let mut out = String::new();
    for finding in findings.iter().filter(|f| f.severity != Severity::Note) {
        let place = finding.places.first().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "{place} {} {}", finding.code, finding.message).expect("a string takes everything");
    }
    out
}

/// Admits files against what was accepted and compares the findings: each expected line is the beginning of one.
fn check(name: &str, files: &Files, accepted: &Accepted, expected: &[&str]) {
    let (_, findings) = run(files, accepted);
    let shown = shown(&findings);
    let lines: Vec<&str> = shown.lines().collect();
    let fits = lines.len() == expected.len() && lines.iter().zip(expected).all(|(line, start)| line.starts_with(start));
    assert!(fits, "{name}: expected\n{}\ngot\n{shown}", expected.join("\n"));
}

fn shoot() -> Owner {
    Owner::project(Kind::Shoot, "shop", "prod")
}

#[test]
fn a_good_landscape_has_nothing_to_say() {
    let (admitted, findings) = run(&files(), &Accepted::default());
    assert_eq!(shown(&findings), "");
    assert!(admitted.held.is_empty());
    assert_eq!(admitted.fresh.len(), 6);
}

/// A name, replacements in the shoot's manifest, and what is found.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn new_shoots_are_checked() {
    let cases: &[Case] = &[
        (
            "name",
            &[("name: prod", "name: prod--a")],
            &[
                "projects/shop/shoots/prod.yaml:4:9 SHOOT-NAME the name `prod--a` contains `--`",
                "projects/shop/shoots/prod.yaml:4:9 POLICY-NAMES-CAN-BE-SAID",
            ],
        ),
        ("length", &[("name: prod", "name: a-name-with-18-sign")], &["projects/shop/shoots/prod.yaml:4:9 SHOOT-NAME-LENGTH"]),
        (
            "overlap",
            &[("nodes: 10.250.0.0/16", "nodes: 100.100.0.0/16")],
            &["projects/shop/shoots/prod.yaml:15:11 SHOOT-NET-OVERLAP pods `100.96.0.0/11` overlap with nodes `100.100.0.0/16`"],
        ),
        (
            "host bits",
            &[("nodes: 10.250.0.0/16", "nodes: 10.250.0.1/16")],
            &["projects/shop/shoots/prod.yaml:14:12 SHOOT-NET-CIDR `10.250.0.1/16` has bits set"],
        ),
        (
            "no range",
            &[("nodes: 10.250.0.0/16", "nodes: here")],
            &["projects/shop/shoots/prod.yaml:14:12 SHOOT-NET-CIDR `here` is no range"],
        ),
        (
            "reserved",
            &[("nodes: 10.250.0.0/16", "nodes: 241.1.0.0/16")],
            &["projects/shop/shoots/prod.yaml:14:12 SHOOT-NET-RESERVED"],
        ),
        (
            "family",
            &[("nodes: 10.250.0.0/16", "nodes: 2001:db8::/64")],
            &["projects/shop/shoots/prod.yaml:14:12 SHOOT-NET-CIDR `2001:db8::/64` is IPv6, the shoot is IPv4"],
        ),
        (
            "mask",
            &[(
                "    version: 1.34.6",
                "    version: 1.34.6\n    kubelet: {maxPods: 250}\n    kubeControllerManager: {nodeCIDRMaskSize: 25}",
            )],
            &["projects/shop/shoots/prod.yaml:13:47 SHOOT-NET-MASK a node mask of 25 leaves 126 addresses for the 250 pods"],
        ),
        (
            "version unknown",
            &[("version: 1.34.6", "version: 1.34.7")],
            &[
                "projects/shop/shoots/prod.yaml:11:14 SHOOT-VERSION-NOT-OFFERED Kubernetes `1.34.7` is not offered by CloudProfile local",
            ],
        ),
        (
            "version expired",
            &[("version: 1.34.6", "version: 1.32.1")],
            &["projects/shop/shoots/prod.yaml:11:14 SHOOT-VERSION-NOT-OFFERED Kubernetes `1.32.1` has expired"],
        ),
        (
            "version prefix",
            &[("version: 1.34.6", "version: \"1.31\"")],
            &[
                "projects/shop/shoots/prod.yaml:11:14 SHOOT-VERSION-NOT-OFFERED no supported Kubernetes version begins with `1.31`",
            ],
        ),
        (
            "pool ahead",
            &[("    - name: pool", "    - name: pool\n      kubernetes: {version: 1.35.2}")],
            &["projects/shop/shoots/prod.yaml:21:29 SHOOT-POOL-VERSION pool `pool` with `1.35.2` would be ahead"],
        ),
        (
            "one cause: a profile that is not there offers no image either",
            &[
                ("  cloudProfile:\n    name: local", "  cloudProfile:\n    name: locol"),
                ("        image: {name: gardenlinux, version: 1877.3.0}\n", ""),
            ],
            &["projects/shop/shoots/prod.yaml:7:11 SHOOT-PROFILE CloudProfile locol does not exist"],
        ),
        (
            "one cause: a region that is missing is not on offer and has no zones",
            &[("  region: eu\n", "")],
            &["projects/shop/shoots/prod.yaml:5:1 SHOOT-REGION-MISSING the region is missing"],
        ),
        (
            "region",
            &[("region: eu", "region: asia")],
            &["projects/shop/shoots/prod.yaml:8:11 SHOOT-REGION region `asia` is not offered"],
        ),
        (
            "zone",
            &[("zones: [eu-a]", "zones: [us-a]")],
            &["projects/shop/shoots/prod.yaml:26:15 SHOOT-ZONE zone `us-a` is not in region `eu`"],
        ),
        (
            "machine type",
            &[("type: small", "type: huge")],
            &["projects/shop/shoots/prod.yaml:24:15 SHOOT-MACHINE-NOT-OFFERED machine type `huge` is not offered"],
        ),
        (
            "unusable",
            &[("type: small", "type: gone")],
            &["projects/shop/shoots/prod.yaml:24:15 SHOOT-MACHINE-NOT-OFFERED machine type `gone` is marked as not usable"],
        ),
        (
            "zone without type",
            &[("type: small", "type: arm"), ("zones: [eu-a]", "zones: [eu-b]")],
            &["projects/shop/shoots/prod.yaml:24:15 SHOOT-MACHINE-NOT-OFFERED machine type `arm` is not available in `eu-b`"],
        ),
        (
            "image",
            &[("name: gardenlinux", "name: plan9")],
            &["projects/shop/shoots/prod.yaml:25:23 SHOOT-IMAGE-NOT-OFFERED machine image `plan9` is not offered"],
        ),
        (
            "image for arm",
            &[("type: small", "type: arm"), ("1877.3.0", "1592.9.0")],
            &[
                "projects/shop/shoots/prod.yaml:25:45 SHOOT-IMAGE-NOT-OFFERED machine image `gardenlinux` `1592.9.0` is not built for arm64",
            ],
        ),
        (
            "volume",
            &[("      zones: [eu-a]", "      zones: [eu-a]\n      volume: {type: ssd, size: 10Gi}")],
            &["projects/shop/shoots/prod.yaml:27:33 SHOOT-VOLUME-NOT-OFFERED a volume of `10Gi` is too small"],
        ),
        (
            "profile",
            &[("name: local\n  region", "name: cloud\n  region")],
            &["projects/shop/shoots/prod.yaml:7:11 SHOOT-PROFILE CloudProfile cloud does not exist"],
        ),
        (
            "binding",
            &[("credentialsBindingName: local", "credentialsBindingName: other")],
            &["projects/shop/shoots/prod.yaml:9:27 SHOOT-BINDING CredentialsBinding shop/other does not exist"],
        ),
        (
            "provider",
            &[("type: local\n    workers", "type: aws\n    workers")],
            &["projects/shop/shoots/prod.yaml:18:11 SHOOT-PROVIDER the provider is `aws`, CloudProfile local is for `local`"],
        ),
        (
            "sizes",
            &[("minimum: 1", "minimum: 5")],
            &["projects/shop/shoots/prod.yaml:22:16 SHOOT-POOL-SIZE pool `pool` may have at most 3 nodes, but at least 5"],
        ),
        (
            "update",
            &[("maximum: 3", "maximum: 3\n      maxSurge: 0\n      maxUnavailable: 0")],
            &["projects/shop/shoots/prod.yaml:24:23 SHOOT-POOL-UPDATE"],
        ),
        (
            "system pool",
            &[("maximum: 3", "maximum: 3\n      systemComponents: {allow: false}")],
            &["projects/shop/shoots/prod.yaml:20:5 SHOOT-POOL-SYSTEM"],
        ),
        (
            "zones of a system pool",
            &[("maximum: 3", "maximum: 2"), ("zones: [eu-a]", "zones: [eu-a, eu-b, eu-c]")],
            &["projects/shop/shoots/prod.yaml:22:16 SHOOT-POOL-ZONES pool `pool` has 3 zones, but may have only 2 nodes"],
        ),
        (
            "schedule",
            &[("  region: eu", "  hibernation:\n    schedules:\n    - {start: \"0 25 * * *\", location: Nowhere}\n  region: eu")],
            &[
                "projects/shop/shoots/prod.yaml:10:15 SHOOT-HIBERNATION-SCHEDULE",
                "projects/shop/shoots/prod.yaml:10:39 SHOOT-HIBERNATION-LOCATION `Nowhere` is no time zone",
            ],
        ),
        (
            "window",
            &[("  region: eu", "  maintenance:\n    timeWindow: {begin: 220000+0100, end: 221000+0100}\n  region: eu")],
            &["projects/shop/shoots/prod.yaml:9:17 SHOOT-MAINTENANCE-LENGTH the maintenance window is 10 minutes long"],
        ),
        (
            "seed",
            &[("  region: eu", "  seedName: eu-9\n  region: eu")],
            &["projects/shop/shoots/prod.yaml:8:13 SHOOT-SEED Seed eu-9 does not exist"],
        ),
        (
            "reserved on a seed",
            &[("nodes: 10.250.0.0/16", "nodes: 241.1.0.0/16"), ("  region: eu", "  seedName: eu-1\n  region: eu")],
            &["projects/shop/shoots/prod.yaml:15:12 SHOOT-NET-RESERVED"],
        ),
        (
            "addon",
            &[("  region: eu", "  purpose: testing\n  addons: {kubernetesDashboard: {enabled: true}}\n  region: eu")],
            &["projects/shop/shoots/prod.yaml:9:43 SHOOT-ADDON the addon `kubernetesDashboard` is only for evaluation"],
        ),
        (
            "duration",
            &[("    version: 1.34.6", "    version: 1.34.6\n    clusterAutoscaler: {scanInterval: -10s}")],
            &["projects/shop/shoots/prod.yaml:12:39 SHOOT-DURATION `-10s` is negative"],
        ),
        (
            "toleration",
            &[("  region: eu", "  tolerations: [{key: special}]\n  region: eu")],
            &["projects/shop/shoots/prod.yaml:8:23 SHOOT-TOLERATION the project does not allow the toleration `special`"],
        ),
        (
            "several at once",
            &[
                ("version: 1.34.6", "version: 1.20.0"),
                ("nodes: 10.250.0.0/16", "nodes: 100.64.0.0/16"),
                ("minimum: 1", "minimum: 4"),
            ],
            &[
                "projects/shop/shoots/prod.yaml:11:14 SHOOT-VERSION-NOT-OFFERED",
                "projects/shop/shoots/prod.yaml:16:15 SHOOT-NET-OVERLAP",
                "projects/shop/shoots/prod.yaml:22:16 SHOOT-POOL-SIZE",
            ],
        ),
    ];
    for (name, edits, expected) in cases {
        check(name, &edited(files(), SHOOT_PATH, edits), &Accepted::default(), expected);
    }
}

#[test]
fn changes_are_compared_with_what_was_accepted() {
    let before = accepted(&files());
    let cases: &[Case] = &[
        ("nothing", &[], &[]),
        ("next minor", &[("version: 1.34.6", "version: 1.35.2")], &[]),
        (
            "downgrade",
            &[("version: 1.34.6", "version: 1.34.1")],
            &["projects/shop/shoots/prod.yaml:11:14 SHOOT-VERSION-DOWNGRADE Kubernetes cannot go back from `1.34.6` to `1.34.1`"],
        ),
        (
            "skip",
            &[("version: 1.34.6", "version: 1.36.0")],
            &[
                "projects/shop/shoots/prod.yaml:11:14 SHOOT-VERSION-SKIP the upgrade from `1.34.6` to `1.36.0` skips a minor version",
            ],
        ),
        (
            "region",
            &[("region: eu", "region: us"), ("zones: [eu-a]", "zones: [us-a]")],
            &["projects/shop/shoots/prod.yaml:8:11 SHOOT-IMMUTABLE `spec.region` cannot change from `eu` to `us`"],
        ),
        (
            "pods",
            &[("pods: 100.96.0.0/11", "pods: 100.128.0.0/11")],
            &["projects/shop/shoots/prod.yaml:15:11 SHOOT-IMMUTABLE `spec.networking.pods` cannot change"],
        ),
        ("workerless", &[("    workers:\n", "    workers: []\n    # \n")], &[]),
        (
            "binding removed",
            &[("  credentialsBindingName: local\n", "")],
            &[
                "projects/shop/shoots/prod.yaml:5:1 SHOOT-BINDING a shoot with workers needs credentials",
                "projects/shop/shoots/prod.yaml:5:1 SHOOT-BINDING-CHANGED the binding cannot be removed",
            ],
        ),
    ];
    for (name, edits, expected) in cases.iter().filter(|(name, ..)| *name != "workerless") {
        check(name, &edited(files(), SHOOT_PATH, edits), &before, expected);
    }
}

#[test]
fn a_held_owner_stays_as_it_was_and_the_others_proceed() {
    let before = accepted(&files());
    let mut changed = edited(files(), SHOOT_PATH, &[("pods: 100.96.0.0/11", "pods: 100.128.0.0/11")]);
    let other = SHOOT.replace("name: prod", "name: test").replace("version: 1.34.6", "version: 1.35.2");
    changed.insert("projects/shop/shoots/test.yaml", other);
    let (admitted, _) = run(&changed, &before);
    assert_eq!(admitted.held.keys().collect::<Vec<_>>(), [&shoot()]);
    assert_eq!(admitted.objects[&shoot()], before.0[&shoot()]);
    assert!(!admitted.fresh.contains(&shoot()));
    assert!(admitted.fresh.contains(&Owner::project(Kind::Shoot, "shop", "test")));
    // An unrelated edit on top of it changes nothing about that.
    let again = edited(changed, SHOOT_PATH, &[("maximum: 3", "maximum: 4")]);
    let (admitted, _) = run(&again, &before);
    assert!(admitted.held.contains_key(&shoot()));
    assert_eq!(admitted.objects[&shoot()], before.0[&shoot()]);
}

#[test]
fn whoever_depends_on_a_held_object_sees_what_was_accepted() {
    let before = accepted(&files());
    let broken = edited(files(), "cloudprofiles/local.yaml", &[("type: local", "tpye: local")]);
    let (admitted, findings) = run(&broken, &before);
    let profile = Owner::cluster(Kind::CloudProfile, "local");
    assert!(admitted.held.contains_key(&profile), "{findings:#?}");
    assert_eq!(admitted.objects[&profile], before.0[&profile]);
    assert!(admitted.fresh.contains(&shoot()), "{findings:#?}");
    // Never accepted: the shoot cannot be judged, and says so.
    let (admitted, findings) = run(&broken, &Accepted::default());
    assert!(admitted.held.contains_key(&shoot()));
    assert!(shown(&findings).contains("SHOOT-PROFILE CloudProfile local has errors of its own"), "{}", shown(&findings));
}

#[test]
fn versions_in_use_stay_in_their_profile() {
    let before = accepted(&files());
    let gone = edited(files(), "cloudprofiles/local.yaml", &[("    - version: 1.34.6\n      classification: supported\n", "")]);
    let (admitted, findings) = run(&gone, &before);
    assert_eq!(shown(&findings).lines().count(), 1, "{}", shown(&findings));
    assert!(
        shown(&findings).starts_with(
            "cloudprofiles/local.yaml:9:5 PROFILE-IN-USE Kubernetes `1.34.6` is removed, but 1 cluster still uses it (first: Shoot shop/prod)"
        ),
        "{}",
        shown(&findings)
    );
    assert!(admitted.fresh.contains(&shoot()));
}

#[test]
fn absence_is_not_deletion() {
    let before = accepted(&files());
    let mut without = files();
    without.remove(SHOOT_PATH);
    let (admitted, findings) = run(&without, &before);
    assert_eq!(admitted.gone[&shoot()], Gone::Unconfirmed);
    assert_eq!(admitted.objects[&shoot()], before.0[&shoot()]);
    assert!(shown(&findings).contains("SHOOT-DELETE-UNCONFIRMED Shoot shop/prod is gone from Git"));
    let help = findings.iter().find_map(|f| f.help.clone()).expect("it says what to write");
    assert!(help.contains("confirmation.gardener.cloud/deletion: \"true\""), "{help}");

    let confirmed = edited(
        files(),
        SHOOT_PATH,
        &[("  name: prod", "  name: prod\n  annotations: {confirmation.gardener.cloud/deletion: \"true\"}")],
    );
    let (admitted, _) = run(&without, &accepted(&confirmed));
    assert_eq!(admitted.gone[&shoot()], Gone::Confirmed);
    assert!(!admitted.objects.contains_key(&shoot()));
    assert_eq!(admitted.frozen, None);

    // A document that nobody can identify could be the shoot: nothing is deleted.
    without.insert("projects/shop/shoots/what.yaml", "spec: [".to_owned());
    let (admitted, _) = run(&without, &accepted(&confirmed));
    assert!(admitted.frozen.is_some());
}

#[test]
fn what_is_used_is_not_deleted() {
    let before = accepted(&files());
    let mut without = files();
    without.remove("projects/shop/credentials/local.yaml");
    let (admitted, findings) = run(&without, &before);
    let binding = Owner::project(Kind::CredentialsBinding, "shop", "local");
    assert_eq!(admitted.gone[&binding], Gone::Unconfirmed);
    assert!(
        shown(&findings).contains("DELETE-IN-USE CredentialsBinding shop/local is gone from Git, but used by `Shoot shop/prod`"),
        "{}",
        shown(&findings)
    );
    assert!(admitted.fresh.contains(&shoot()), "the shoot goes on with the accepted binding: {findings:#?}");
}

#[test]
fn defaults_are_filled_in_and_stay() {
    let before = edited(
        files(),
        SHOOT_PATH,
        &[
            ("version: 1.34.6", "version: \"1.34\""),
            (", version: 1877.3.0", ""),
            ("    nodes: 10.250.0.0/16\n    pods: 100.96.0.0/11\n    services: 100.64.0.0/13\n", ""),
        ],
    );
    let first = accepted(&before);
    let value = &first.0[&shoot()];
    let text = |pointer: &str| value.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    assert_eq!(text("/spec/kubernetes/version"), "\"1.34.6\"");
    assert_eq!(text("/spec/provider/workers/0/machine/image/version"), "\"1877.3.0\"");
    assert_eq!(text("/spec/provider/workers/0/machine/architecture"), "\"amd64\"");
    assert_eq!(text("/spec/kubernetes/kubeControllerManager/nodeCIDRMaskSize"), "24");
    assert_eq!(text("/spec/kubernetes/verticalPodAutoscaler/enabled"), "true");
    assert_eq!(text("/spec/maintenance/autoUpdate"), "{\"kubernetesVersion\":true,\"machineImageVersion\":true}");
    assert_eq!(text("/spec/kubernetes/kubelet/kubeReserved/cpu"), "\"80m\"");
    assert_eq!(text("/metadata/labels/operatingsystemconfig.extensions.gardener.cloud~1gardenlinux"), "\"true\"");
    assert!(value.pointer("/spec/maintenance/timeWindow/begin").is_some());
    // A newer patch and image appear: whoever wrote part of a version keeps what it became.
    let newer = edited(
        before,
        "cloudprofiles/local.yaml",
        &[
            (
                "    - version: 1.34.6\n      classification: supported",
                "    - version: 1.34.9\n      classification: supported\n    - version: 1.34.6",
            ),
            ("    - version: 1877.3.0", "    - version: 1900.0.0\n      architectures: [amd64]\n    - version: 1877.3.0"),
        ],
    );
    let (admitted, findings) = run(&newer, &first);
    assert_eq!(shown(&findings), "");
    assert_eq!(admitted.objects[&shoot()], first.0[&shoot()]);
}

#[test]
fn a_placed_shoot_gets_what_its_seed_defaults() {
    let pinned = edited(
        files(),
        SHOOT_PATH,
        &[("  region: eu", "  seedName: eu-1\n  region: eu"), ("    pods: 100.96.0.0/11\n    services: 100.64.0.0/13\n", "")],
    );
    let before = accepted(&pinned);
    let text = |pointer: &str| before.0[&shoot()].pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert_eq!(text("/spec/networking/pods"), "100.96.0.0/11");
    assert_eq!(text("/spec/dns/domain"), "prod.shop.shoots.example.org");
    // The pin may go, and the seed stays; another pin is no way to move.
    let unpinned = edited(pinned.clone(), SHOOT_PATH, &[("  seedName: eu-1\n", "")]);
    let (admitted, findings) = run(&unpinned, &before);
    assert_eq!(shown(&findings), "");
    assert_eq!(admitted.objects[&shoot()]["spec"], before.0[&shoot()]["spec"]);
    let mut moved = edited(pinned, SHOOT_PATH, &[("seedName: eu-1", "seedName: eu-2")]);
    let second = SEED.replace("name: eu-1", "name: eu-2");
    moved.insert("seeds/eu-2.yaml", second);
    check(
        "moved",
        &moved,
        &before,
        &["projects/shop/shoots/prod.yaml:8:13 SHOOT-SEED-CHANGED the control plane is on seed `eu-1`"],
    );
}

#[test]
fn workerless_shoots_say_nothing_about_nodes() {
    let text = "apiVersion: core.gardener.cloud/v1beta1
kind: Shoot
metadata: {name: api}
spec:
  cloudProfile: {name: local}
  region: eu
  kubernetes:
    version: \"1.35\"
    kubelet: {maxPods: 100}
  provider: {type: local}
";
    let mut with = files();
    with.insert("projects/shop/shoots/api.yaml", text.to_owned());
    check(
        "kubelet",
        &with,
        &Accepted::default(),
        &["projects/shop/shoots/api.yaml:9:5 SHOOT-WORKERLESS `spec.kubernetes.kubelet` has no meaning without workers"],
    );
    with.insert("projects/shop/shoots/api.yaml", text.replace("    kubelet: {maxPods: 100}\n", ""));
    check("fine", &with, &Accepted::default(), &[]);
}

#[test]
fn settings_that_nobody_acts_upon_are_noted_once() {
    let with = edited(
        files(),
        SHOOT_PATH,
        &[("  region: eu", "  hibernation:\n    schedules: [{start: \"0 20 * * *\"}]\n  region: eu")],
    );
    let (_, findings) = run(&with, &Accepted::default());
    let notes: Vec<&str> = findings.iter().filter(|f| f.code.as_str() == "NOT-ACTED-UPON").map(|f| f.message.as_str()).collect();
    assert_eq!(notes, ["not acted upon yet: hibernation schedules"]);
}

#[test]
fn policies_hold_and_warn() {
    let with =
        edited(files(), SHOOT_PATH, &[("maximum: 3", "maximum: 300"), ("  region: eu", "  purpose: evaluation\n  region: eu")]);
    check(
        "budget",
        &with,
        &Accepted::default(),
        &[
            "projects/shop/shoots/prod.yaml:21:5 POLICY-NODES-WITHIN-BUDGET the pools may grow to 300 nodes together, the budget is 50",
        ],
    );
    let (admitted, _) = run(&with, &Accepted::default());
    assert!(admitted.held.contains_key(&shoot()));
    let mut relaxed = with;
    let own = include_str!("../../policies/budget.yaml").replace("validationActions: [Deny]", "validationActions: [Warn]");
    relaxed.insert("policies/budget.yaml", own);
    let (admitted, findings) = run(&relaxed, &Accepted::default());
    assert!(admitted.held.is_empty(), "{findings:#?}");
    assert_eq!(findings.count(Severity::Warning), 1);
}

#[test]
fn an_unchanged_fleet_is_answered_from_memory() {
    let all = files();
    let before = accepted(&all);
    let mut memory = Memory::default();
    let policies = Policies::compile(&BTreeMap::new()).0;
    let mut pass = |files: &Files, now: i64| {
        let (landscape, _) = load(files);
        let (admitted, findings) = admit(&landscape, &before, &policies, now, &mut memory);
        let (cold, same) = admit(&landscape, &before, &policies, now, &mut Memory::default());
        assert_eq!((&admitted.objects, &admitted.held, findings), (&cold.objects, &cold.held, same), "memory changes no answer");
        admitted.evaluated
    };
    assert_eq!(pass(&all, NOW), 6);
    assert_eq!(pass(&all, NOW), 0);
    // A comment moves places, and changes no verdict.
    let moved = edited(all.clone(), SHOOT_PATH, &[("spec:\n", "spec: # the wish\n\n")]);
    assert_eq!(pass(&moved, NOW), 0);
    assert_eq!(pass(&edited(all.clone(), SHOOT_PATH, &[("maximum: 3", "maximum: 4")]), NOW), 1);
    // The project is seen by its shoots and by nobody else.
    let project = edited(all.clone(), "projects/shop/project.yaml", &[("ada@", "eve@")]);
    assert_eq!(pass(&project, NOW), 2, "the project and its shoot");
    // Time passes the expiration of a version that the profile lists.
    assert!(pass(&all, 3_800_000_000) >= 1);
}

#[test]
fn one_owner_is_judged_as_among_all() {
    let mut many = files();
    for (i, path) in
        ["projects/shop/shoots/a.yaml", "projects/shop/shoots/b.yaml", "projects/shop/shoots/c.yaml"].into_iter().enumerate()
    {
        many.insert(
            path,
            SHOOT
                .replace("name: prod", &format!("name: {}", ["a", "b", "c"][i]))
                .replace("minimum: 1", if i == 1 { "minimum: 9" } else { "minimum: 1" }),
        );
    }
    let (all, _) = run(&many, &Accepted::default());
    let (one, _) = run(&files(), &Accepted::default());
    assert_eq!(all.objects[&shoot()], one.objects[&shoot()]);
    assert_eq!(all.held.len(), 1);
}

#[test]
fn every_code_is_explained() {
    let mut seen = BTreeSet::new();
    for (code, title) in admission::codes() {
        assert!(seen.insert(code), "{code} is registered twice");
        let text = admission::explain(code).expect("a registered code");
        assert!(text.len() > 20 && !title.is_empty(), "{code}");
        assert!(code.chars().all(|c| c.is_ascii_uppercase() || c == '-'), "{code}");
    }
    assert!(seen.len() > 60);
    assert_eq!(admission::explain("NO-SUCH-CODE"), None);
}

#[test]
fn the_shipped_landscape_says_nothing() {
    fn walk(dir: &std::path::Path, root: &std::path::Path, out: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).expect("the folder is in the repository") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                out.push((path.strip_prefix(root).expect("it is below").display().to_string(), text));
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("landscapes/local");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    let files: Files = found.into_iter().map(|(path, text)| (&*path.leak(), text)).collect();
    let (admitted, findings) = run(&files, &Accepted::default());
    assert_eq!(shown(&findings), "");
    assert!(admitted.of_kind(Kind::Shoot).count() >= 6);
    // What was accepted is accepted again, and is the same.
    let (again, findings) = run(&files, &Accepted(Arc::new(admitted.objects.clone())));
    assert_eq!(shown(&findings), "");
    assert_eq!(again.objects, admitted.objects);
}
