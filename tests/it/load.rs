//! Bad landscapes: every document is an object or a finding at its place; who is affected is held, everyone else goes on.

use espalier::finding::{Finding, Findings, Severity};
use espalier::landscape::{FileMemo, Kind, Landscape, Owner, load};
use espalier::snapshot::{EntryKind, RepoPath};

use super::landscapes::{blob, of, snapshot};

const LANDSCAPE: &str = "apiVersion: espalier.dev/v1alpha1\nkind: Landscape\nmetadata: {name: live}\n";
const PROJECT: &str = "apiVersion: core.gardener.cloud/v1beta1\nkind: Project\nmetadata: {name: shop}\n";
const SHOOT: &str = "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata:\n  name: prod\nspec:\n  region: eu\n";
const SHOOTS: &str = "projects/shop/shoots/prod.yaml";

/// Loads a sound landscape with these files beside or instead.
fn with(files: &[(&str, &str)]) -> (Landscape, Findings) {
    let sound = [("landscape.yaml", LANDSCAPE), ("projects/shop/project.yaml", PROJECT)];
    let all = sound.into_iter().filter(|(path, _)| files.iter().all(|(other, _)| other != path)).chain(files.iter().copied());
    load(&snapshot(all), &mut FileMemo::default())
}

fn shoot() -> Owner {
    Owner::project(Kind::Shoot, "shop", "prod")
}

/// `CODE severity path:line:column message` of each finding.
fn lines(findings: &Findings) -> Vec<String> {
    let place = |f: &Finding| f.places.first().map(ToString::to_string).unwrap_or_default();
    findings.iter().map(|f| format!("{} {} {} {}", f.code, f.severity, place(f), f.message)).collect()
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) -> (Landscape, Findings) {
    let (landscape, findings) = with(files);
    assert_eq!(lines(&findings), expected);
    (landscape, findings)
}

#[test]
fn a_sound_landscape_has_no_findings() {
    let (landscape, _) = check(&[(SHOOTS, SHOOT), ("README.md", "# {{ not yaml"), ("projects/shop/notes.txt", "\0")], &[]);
    assert_eq!(landscape.name, "live");
    assert_eq!(
        landscape.objects().map(|(owner, ..)| owner.to_string()).collect::<Vec<_>>(),
        ["Landscape live", "Project shop", "Shoot shop/prod"]
    );
    assert_eq!(landscape.shoots[&shoot()].place("/spec/region").to_string(), "projects/shop/shoots/prod.yaml:6:11");
}

#[test]
fn without_landscape_yaml_one_finding_says_what_to_write() {
    let (_, findings) = load(&snapshot([("projects/shop/project.yaml", PROJECT)]), &mut FileMemo::default());
    assert_eq!(lines(&findings), ["LOAD-NO-LANDSCAPE error landscape.yaml there is no landscape.yaml"]);
    let help = findings.0[0].help.as_deref().expect("the finding helps");
    let example = help.split_once("\n\n").expect("the example follows the sentence").1;
    let (landscape, findings) = load(&snapshot([("landscape.yaml", example)]), &mut FileMemo::default());
    assert!(findings.is_empty(), "the example works: {findings:#?}");
    assert!(landscape.landscape.expect("it is there").spec.spec.is_sim());
}

#[test]
fn all_unknown_fields_are_found_with_the_nearest_name() {
    let text = format!(
        "{SHOOT}  kubernets: {{version: 1.34.6}}\n  provider:\n    type: aws\n    workers:\n    - name: a\n      machin: x\n      zzz: 1\n"
    );
    let (landscape, findings) = check(
        &[(SHOOTS, &text)],
        &[
            "FIELD-UNKNOWN error projects/shop/shoots/prod.yaml:7:3 `spec` has no field `kubernets`",
            "FIELD-UNKNOWN error projects/shop/shoots/prod.yaml:12:7 `spec.provider.workers[0]` has no field `machin`",
            "FIELD-UNKNOWN error projects/shop/shoots/prod.yaml:13:7 `spec.provider.workers[0]` has no field `zzz`",
        ],
    );
    assert_eq!(findings.0[0].help.as_deref(), Some("did you mean `kubernetes`?"));
    assert_eq!(findings.0[1].help.as_deref(), Some("did you mean `machine`?"));
    assert!(findings.0[2].help.as_deref().expect("fields are listed").contains("maxSurge"));
    assert!(findings.iter().all(|f| f.owner == "Shoot shop/prod"));
    assert_eq!(landscape.broken[&shoot()].0.len(), 3);
    assert!(landscape.shoots.is_empty() && landscape.unknown.is_empty());
    assert!(landscape.projects.contains_key(&Owner::cluster(Kind::Project, "shop")), "others go on");
}

#[test]
fn wrong_types_and_forms_are_found_at_the_value() {
    let text = format!(
        "{SHOOT}  purpose: [testing]\n  kubernetes:\n    version: 1.34\n    kubeAPIServer:\n      eventTTL: 1d\n    kubelet:\n      maxPods: many\n      kubeReserved: {{cpu: lots}}\n"
    );
    let (_, findings) = check(
        &[(SHOOTS, &text)],
        &[
            "FIELD-FORMAT error projects/shop/shoots/prod.yaml:11:17 `spec.kubernetes.kubeAPIServer.eventTTL` must be a duration, not the string \"1d\"",
            "FIELD-FORMAT error projects/shop/shoots/prod.yaml:14:27 `spec.kubernetes.kubelet.kubeReserved.cpu` must be a quantity, not the string \"lots\"",
            "FIELD-TYPE error projects/shop/shoots/prod.yaml:13:16 `spec.kubernetes.kubelet.maxPods` must be a whole number of 32 bits, not the string \"many\"",
            "FIELD-TYPE error projects/shop/shoots/prod.yaml:9:14 `spec.kubernetes.version` must be a string, not the number 1.34",
            "FIELD-TYPE error projects/shop/shoots/prod.yaml:7:12 `spec.purpose` must be a string, not a list",
        ],
    );
    assert_eq!(findings.0[3].help.as_deref(), Some("put it in quotes: \"1.34\""));
}

#[test]
fn a_null_field_is_an_absent_one() {
    let (landscape, _) = check(&[(SHOOTS, &format!("{SHOOT}  hibernation:\n  maintenance: ~\n"))], &[]);
    let shoot = &landscape.shoots[&shoot()];
    assert!(shoot.spec.spec.hibernation.is_none());
    assert!(shoot.value.pointer("/spec/hibernation").is_none() && shoot.value.pointer("/spec/maintenance").is_none());
}

#[test]
fn a_file_that_does_not_parse_holds_its_owner_or_every_deletion() {
    let (landscape, findings) = with(&[(SHOOTS, &format!("{SHOOT}  region: us\n"))]);
    assert!(findings.has_errors() && findings.iter().all(|f| f.owner == "Shoot shop/prod"), "{findings:#?}");
    assert!(landscape.broken[&shoot()].has_errors());
    assert!(landscape.unknown.is_empty(), "its identity is known");

    let (landscape, findings) = with(&[(SHOOTS, "kind: Shoot\nmetadata: {name: [\n")]);
    assert!(findings.has_errors());
    assert_eq!(landscape.unknown.len(), 1, "nothing may be deleted");
    assert!(landscape.broken.is_empty());
}

#[test]
fn a_broken_document_takes_no_neighbour_with_it() {
    let text = format!("{SHOOT}---\n{}---\n&a x: 1\n", SHOOT.replace("prod", "test"));
    let (landscape, _) = with(&[(SHOOTS, &text)]);
    assert_eq!(landscape.shoots.len(), 2);
    assert_eq!(landscape.unknown.len(), 1);
}

#[test]
fn documents_without_identity_stop_deletions() {
    let text = "apiVerson: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata: {name: prod}\n";
    let (landscape, findings) =
        check(&[(SHOOTS, text)], &["LOAD-IDENTITY error projects/shop/shoots/prod.yaml:1:1 the document lacks apiVersion"]);
    assert_eq!(landscape.unknown.len(), 1);
    assert_eq!(findings.0[0].places[1].note, "did you mean `apiVersion`?");
    let (landscape, findings) = with(&[(SHOOTS, "[1, 2]\n"), ("seeds/a.yaml", "just text\n")]);
    assert_eq!(findings.count(Severity::Error), 2);
    assert_eq!(landscape.unknown.len(), 2, "what is no object has no identity");
}

#[test]
fn unknown_kinds_are_named_with_the_nearest_one() {
    let (landscape, findings) = check(
        &[
            (SHOOTS, &SHOOT.replace("kind: Shoot", "kind: Shot")),
            ("seeds/a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"),
        ],
        &[
            "LOAD-KIND error projects/shop/shoots/prod.yaml:2:7 `Shot` of `core.gardener.cloud/v1beta1` does not belong in a landscape",
            "LOAD-KIND error seeds/a.yaml:2:7 `Pod` of `v1` does not belong in a landscape",
        ],
    );
    assert_eq!(findings.0[0].help.as_deref(), Some("did you mean `Shoot`?"));
    assert_eq!(landscape.unknown.len(), 2);
    let (_, findings) = with(&[(SHOOTS, &SHOOT.replace("v1beta1", "v1"))]);
    assert_eq!(findings.0[0].help.as_deref(), Some("write `apiVersion: core.gardener.cloud/v1beta1`"));
}

#[test]
fn misplaced_objects_are_told_where_they_belong() {
    let seed = "apiVersion: core.gardener.cloud/v1beta1\nkind: Seed\nmetadata: {name: eu}\n";
    let (landscape, findings) = check(
        &[
            ("projects/shop/shoots/seed.yaml", seed),
            ("projects/shop/credentials/prod.yaml", SHOOT),
            ("projects/shop/loose.yaml", PROJECT),
        ],
        &[
            "LOAD-PLACE error projects/shop/credentials/prod.yaml:2:7 a Shoot does not belong in projects/shop/credentials/prod.yaml",
            "LOAD-PLACE error projects/shop/loose.yaml:2:7 a Project does not belong in projects/shop/loose.yaml",
            "LOAD-PLACE error projects/shop/shoots/seed.yaml:2:7 a Seed does not belong in projects/shop/shoots/seed.yaml",
            "LOAD-DUPLICATE error projects/shop/loose.yaml:1:1 Project shop is defined 2 times",
        ],
    );
    assert_eq!(findings.0[0].help.as_deref(), Some("move it to projects/shop/shoots/"));
    assert_eq!(findings.0[2].help.as_deref(), Some("move it to seeds/"));
    assert!(landscape.broken.contains_key(&Owner::cluster(Kind::Seed, "eu")) && landscape.broken.contains_key(&shoot()));
}

#[test]
fn a_namespace_that_contradicts_the_path_holds_both() {
    let (landscape, _) = check(
        &[(SHOOTS, &SHOOT.replace("name: prod", "name: prod\n  namespace: garden-lab"))],
        &[
            "LOAD-NAMESPACE error projects/shop/shoots/prod.yaml:5:14 the namespace `garden-lab` contradicts the path: the project is `shop`",
        ],
    );
    assert_eq!(landscape.broken.keys().cloned().collect::<Vec<_>>(), [Owner::project(Kind::Shoot, "lab", "prod"), shoot()]);
    check(&[(SHOOTS, &SHOOT.replace("name: prod", "name: prod\n  namespace: garden-shop"))], &[]);
    check(
        &[("projects/shop/project.yaml", &PROJECT.replace("shop", "lab"))],
        &["LOAD-NAME error projects/shop/project.yaml:3:18 the project is called `lab`, its folder `shop`"],
    );
}

#[test]
fn of_two_equal_objects_neither_wins() {
    let (landscape, findings) = check(
        &[(SHOOTS, SHOOT), ("projects/shop/shoots/twin.yaml", &format!("# a\n{SHOOT}"))],
        &["LOAD-DUPLICATE error projects/shop/shoots/prod.yaml:1:1 Shoot shop/prod is defined 2 times"],
    );
    assert_eq!(findings.0[0].places[1].to_string(), "projects/shop/shoots/twin.yaml:2:1");
    assert!(landscape.shoots.is_empty() && landscape.broken.contains_key(&shoot()));
    // Also if one of them is unusable.
    let (landscape, _) = with(&[(SHOOTS, SHOOT), ("projects/shop/shoots/twin.yaml", &format!("{SHOOT}  nope: 1\n"))]);
    assert!(landscape.shoots.is_empty() && landscape.broken[&shoot()].0.len() == 2);
}

#[test]
fn links_and_unusable_names_in_claimed_paths_stop_deletions() {
    let mut link = blob(b"");
    link.kind = EntryKind::Symlink;
    let mut module = blob(b"");
    module.kind = EntryKind::Submodule;
    let files = [
        ("landscape.yaml", blob(LANDSCAPE.as_bytes())),
        ("seeds/a.yaml", link.clone()),
        ("projects/other", module.clone()),
        ("projects/shop/project.yaml", blob(PROJECT.as_bytes())),
        ("projects/shop/shoots/Prod.yaml", blob(SHOOT.as_bytes())),
        ("projects/shop/shoots/prod.yaml", blob(SHOOT.as_bytes())),
        ("docs/link", link),
        ("vendor", module),
    ];
    let files = files.into_iter().map(|(path, blob)| (RepoPath::from(path), blob)).collect();
    let (landscape, findings) = load(&of(files), &mut FileMemo::default());
    assert_eq!(
        lines(&findings),
        [
            "LOAD-LINK error projects/other a submodule is not followed",
            "LOAD-PATH error projects/shop/shoots/prod.yaml the file's name differs from projects/shop/shoots/Prod.yaml only in case",
            "LOAD-LINK error seeds/a.yaml a symbolic link is not followed",
        ]
    );
    assert_eq!(landscape.unknown.len(), 3);
}

#[test]
fn plain_secrets_are_refused_without_being_shown() {
    let path = "projects/shop/credentials/key.yaml";
    let plain = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {password: hunter2}\n";
    let (landscape, findings) =
        check(&[(path, plain)], &["SECRET-PLAIN error projects/shop/credentials/key.yaml:2:7 the Secret `key` is not encrypted"]);
    assert!(!format!("{findings:?}").contains("hunter2"));
    assert!(landscape.credentials.is_empty() && landscape.unknown.is_empty());
    // A SOPS block alone encrypts nothing.
    let (_, findings) = with(&[(path, &format!("{plain}sops: {{mac: \"ENC[x]\"}}\n"))]);
    assert_eq!(findings.0[0].code.as_str(), "SECRET-PLAIN");
}

#[test]
fn encrypted_secrets_are_recognised_with_a_note() {
    let sops = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {password: \"ENC[AES256_GCM,data:x]\"}\nsops: {mac: \"ENC[AES256_GCM,data:y]\"}\n";
    let (landscape, findings) = with(&[("projects/shop/credentials/key.yaml", sops)]);
    assert_eq!((findings.0.len(), findings.0[0].severity, findings.0[0].code.as_str()), (1, Severity::Note, "SECRET-ENCRYPTED"));
    assert!(landscape.credentials.contains_key(&("shop".to_owned(), "key".to_owned())));
    let age = "-----BEGIN AGE ENCRYPTED FILE-----\nabc\n-----END AGE ENCRYPTED FILE-----\n";
    let (landscape, findings) = with(&[("projects/shop/credentials/file.yaml", age)]);
    assert_eq!((findings.0.len(), findings.0[0].severity), (1, Severity::Note));
    assert!(landscape.unknown.is_empty());
}

#[test]
fn a_pasted_object_is_welcome() {
    let pasted = "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata:\n  name: prod\n  namespace: garden-shop\n  uid: u\n  resourceVersion: \"5\"\n  generation: 2\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {}\n  managedFields: [{manager: kubectl}]\nspec:\n  region: eu\n  seedName: pinned\nstatus:\n  whatever: 1\n";
    let (landscape, _) = check(
        &[(SHOOTS, pasted)],
        &[
            "PASTE-DROPPED note projects/shop/shoots/prod.yaml:17:1 this was set by a server and is left out: status, metadata.uid, metadata.resourceVersion, metadata.generation, metadata.managedFields, metadata.creationTimestamp, metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]",
        ],
    );
    let shoot = &landscape.shoots[&shoot()];
    assert_eq!(shoot.value["metadata"], serde_json::json!({ "name": "prod", "namespace": "garden-shop" }));
    assert!(shoot.value.get("status").is_none());
    assert_eq!(shoot.spec.spec.seed_name.as_deref(), Some("pinned"), "a seed that was written is a pin");
}

#[test]
fn finalizers_and_privileged_annotations_are_refused() {
    let text = SHOOT.replace(
        "  name: prod\n",
        "  name: prod\n  finalizers: [gardener]\n  annotations:\n    gardener.cloud/operation: reconcile\n    confirmation.gardener.cloud/deletion: \"true\"\n    espalier.dev/tracking: forged\n    shoot.gardener.cloud/ignore-alerts: \"true\"\n    shoot.gardener.cloud/tasks: deployInfrastructure\n  labels:\n    espalier.dev/owner: forged\n",
    );
    let (_, findings) = check(
        &[(SHOOTS, &text)],
        &[
            "PASTE-PRIVILEGED error projects/shop/shoots/prod.yaml:9:5 `espalier.dev/tracking` may not be set in Git",
            "PASTE-PRIVILEGED error projects/shop/shoots/prod.yaml:7:5 `gardener.cloud/operation` may not be set in Git",
            "PASTE-PRIVILEGED error projects/shop/shoots/prod.yaml:11:5 `shoot.gardener.cloud/tasks` may not be set in Git",
            "PASTE-PRIVILEGED error projects/shop/shoots/prod.yaml:13:5 `espalier.dev/owner` may not be set in Git",
            "PASTE-FINALIZER error projects/shop/shoots/prod.yaml:5:3 a manifest in Git may not have finalizers",
        ],
    );
    assert_eq!(findings.0[1].help.as_deref(), Some("ask for it once, with an Operation in operations/"));
}

#[test]
fn dangling_references_hold_who_refers() {
    let registration = "apiVersion: core.gardener.cloud/v1beta1\nkind: ControllerRegistration\nmetadata: {name: aws}\nspec:\n  deployment:\n    deploymentRefs: [{name: provider-asw}]\n";
    let deployment =
        "apiVersion: core.gardener.cloud/v1beta1\nkind: ControllerDeployment\nmetadata: {name: provider-aws}\ntype: own\n";
    let binding = "apiVersion: security.gardener.cloud/v1alpha1\nkind: CredentialsBinding\nmetadata: {name: b}\nprovider: {type: aws}\ncredentialsRef: {apiVersion: v1, kind: Secret, name: s, namespace: garden-shop}\nquotas: [{name: small}]\n";
    let (landscape, findings) = check(
        &[("extensions/a.yaml", registration), ("extensions/b.yaml", deployment), ("projects/shop/credentials/b.yaml", binding)],
        &[
            "REF-MISSING error extensions/a.yaml:6:29 there is no ControllerDeployment provider-asw",
            "REF-MISSING error projects/shop/credentials/b.yaml:6:17 there is no Quota shop/small",
        ],
    );
    assert_eq!(findings.0[0].help.as_deref(), Some("did you mean `provider-aws`?"));
    assert_eq!(landscape.broken.len(), 2);
    assert!(landscape.credentials_bindings.is_empty() && landscape.controller_registrations.is_empty());
}

#[test]
fn what_is_broken_still_exists_for_those_who_refer_to_it() {
    let registration = "apiVersion: core.gardener.cloud/v1beta1\nkind: ControllerRegistration\nmetadata: {name: aws}\nspec:\n  deployment:\n    deploymentRefs: [{name: provider-aws}]\n";
    let deployment =
        "apiVersion: core.gardener.cloud/v1\nkind: ControllerDeployment\nmetadata: {name: provider-aws}\nhelmm: {}\n";
    let (landscape, findings) = with(&[("extensions/a.yaml", registration), ("extensions/b.yaml", deployment)]);
    assert_eq!(findings.0.len(), 1, "{findings:#?}");
    assert_eq!(landscape.controller_registrations.len(), 1);
}

#[test]
fn region_distances_are_read_and_checked() {
    let text = |rows: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n  labels: {{scheduling.gardener.cloud/purpose: region-config}}\n  annotations: {{scheduling.gardener.cloud/cloudprofiles: \"aws, gcp\"}}\ndata:\n  eu: |\n{rows}"
        )
    };
    let (landscape, _) = check(&[("seeds/d.yaml", &text("    us: 90\n    asia: 160\n"))], &[]);
    assert_eq!(landscape.distances["gcp"]["eu"]["asia"], 160);
    check(
        &[("seeds/d.yaml", &text("    us: far\n"))],
        &["LOAD-DISTANCES error seeds/d.yaml:8:7 the distances of region `eu` cannot be read"],
    );
}

#[test]
fn overlays_are_handed_on_as_they_are() {
    let (landscape, _) =
        check(&[("policies/own.yaml", "a: 1\n"), ("templates/shoot/x.yaml", "{{ x }}"), ("schemas/x.json", "{}")], &[]);
    assert_eq!(landscape.overlays.len(), 3);
    assert_eq!(&*landscape.overlays["templates/shoot/x.yaml"], "{{ x }}");
}

#[test]
fn what_did_not_change_is_read_once() {
    let files = |shoot: &str| snapshot([("landscape.yaml", LANDSCAPE), ("projects/shop/project.yaml", PROJECT), (SHOOTS, shoot)]);
    let mut memo = FileMemo::default();
    let (first, _) = load(&files(SHOOT), &mut memo);
    let (second, _) = load(&files(&SHOOT.replace("eu", "us")), &mut memo);
    let project = Owner::cluster(Kind::Project, "shop");
    assert!(std::sync::Arc::ptr_eq(&first.projects[&project].spec, &second.projects[&project].spec));
    assert_eq!(second.shoots[&shoot()].spec.spec.region, "us");
    assert_eq!(memo.len(), 4);
}
