//! Of two sides of a plan, only components are rendered that may differ; what differs is what it would be if all were.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use espalier::facts::Facts;
use espalier::landscape::{Kind, Owner};
use espalier::library::Library;
use espalier::render::{self, Inputs, Prepared, RenderState, Rendering};
use espalier::secrets::Bodies;
use espalier::snapshot::RepoPath;
use serde_json::{Value, json};

use crate::library::{identity, landscape, shoot};

type Objects = BTreeMap<Owner, Arc<Value>>;

fn with_inputs<T>(library: &Library, prepared: &Prepared, work: impl FnOnce(&Inputs<'_>) -> T) -> T {
    let (facts, bodies) = (Facts::default(), Bodies::default());
    work(&Inputs { prepared, library, ensured: None, facts: &facts, bodies: &bodies, digest_key: None, offline: true })
}

/// What one side has and the other has not, or has otherwise, and how many components were rendered for that.
fn difference((one, other): (Rendering, Rendering)) -> (BTreeSet<String>, usize) {
    let components = |r: &Rendering| r.releases.iter().flat_map(|release| &release.components).cloned().collect::<Vec<_>>();
    let (one, other) = (components(&one), components(&other));
    let rendered = one.iter().chain(&other).filter(|c| c.state == RenderState::Wanted).count();
    let said = |all: &[render::Rendered]| -> BTreeSet<String> {
        let line =
            |c: &render::Rendered, o: &render::DesiredObject| format!("{} {} {}", c.component.id, o.key, o.digest.as_str());
        all.iter().flat_map(|c| c.objects.iter().map(move |o| line(c, o))).collect()
    };
    let (one, other) = (said(&one), said(&other));
    (one.symmetric_difference(&other).cloned().collect(), rendered)
}

/// Compares both ways of finding out what differs; says how many objects do, and of how many renderings one way needed how many.
fn check(name: &str, (library, objects): (&Library, &Objects), (later, changed): (&Library, &Objects)) -> (usize, usize, usize) {
    let prepared = |library: &Library, objects: &Objects| {
        render::prepare(objects, &shoot(), &identity(), library).expect("everything is known").expect("it has templates")
    };
    let (was, is) = (prepared(library, objects), prepared(later, changed));
    let (whole, few) = with_inputs(library, &was, |one| {
        with_inputs(later, &is, |other| ((render::render(one), render::render(other)), render::render_differing(one, other)))
    });
    let ((whole, all), (few, some)) = (difference(whole), difference(few));
    assert_eq!(whole, few, "{name}");
    (few.len(), some, all)
}

fn changed(pointer: &str, value: Value) -> Objects {
    let mut objects = landscape();
    let manifest = Arc::make_mut(objects.get_mut(&shoot()).expect("the shoot"));
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    manifest.pointer_mut(parent).expect("a parent")[key] = value;
    objects
}

fn library(files: &[(&str, &str)]) -> Library {
    let files = files.iter().map(|(path, text)| (RepoPath::from(*path), Arc::from(*text))).collect();
    let (library, findings) = Library::compile(&files);
    assert!(!findings.has_errors(), "{findings:#?}");
    library
}

#[test]
fn what_may_differ_is_rendered_and_nothing_else() {
    let built_in = library(&[]);
    let before = landscape();
    let (differ, some, _) = check("nothing", (&built_in, &before), (&built_in, &before));
    assert_eq!((differ, some), (0, 0), "nothing differs, and nothing is rendered");
    for (pointer, value) in [
        ("/spec/kubernetes/version", json!("1.33.5")),
        ("/spec/provider/workers/0/maximum", json!(7)),
        ("/spec/provider/workers/0/machine/type", json!("m5.xlarge")),
        ("/spec/provider/infrastructureConfig", json!({"kind": "InfrastructureConfig", "a": 1})),
        ("/spec/purpose", json!("production")),
        ("/spec/dns/domain", json!("other.dev.example.org")),
        ("/spec/hibernation", json!({"enabled": true})),
        ("/spec/maintenance/timeWindow/begin", json!("210000+0100")),
        ("/spec/kubernetes/kubeAPIServer", json!({"logging": {"verbosity": 4}})),
        ("/spec/kubernetes/kubeProxy", json!({"mode": "IPVS"})),
        ("/metadata/annotations", json!({"a": "b"})),
    ] {
        check(pointer, (&built_in, &before), (&built_in, &changed(pointer, value)));
    }
    let mut profile = before.clone();
    let owner = Owner::cluster(Kind::CloudProfile, "aws");
    Arc::make_mut(profile.get_mut(&owner).expect("the profile"))["spec"]["machineTypes"][0]["memory"] = json!("16Gi");
    let (_, some, all) = check("a profile", (&built_in, &before), (&built_in, &profile));
    assert!(some * 4 < all, "{some} of {all}");
    let mut images = before.clone();
    let root = Owner::cluster(Kind::Landscape, "local");
    Arc::make_mut(images.get_mut(&root).expect("the landscape"))["spec"]["images"] = json!({"coredns": "example.org/coredns:1"});
    let (differ, ..) = check("an image", (&built_in, &before), (&built_in, &images));
    assert!(differ >= 2);
}

#[test]
fn a_template_that_changed_is_rendered_and_the_others_are_not() {
    let template = |body: &str| {
        format!(
            "---\ncomponent: more\nneeds: [namespace]\nready: exists\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: more\ndata:\n{body}"
        )
    };
    let path = "templates/shoot/more.yaml";
    let (one, other) = (library(&[(path, &template("  a: one\n"))]), library(&[(path, &template("  a: other\n"))]));
    let before = landscape();
    let (differ, some, _) = check("a template", (&one, &before), (&other, &before));
    assert_eq!((differ, some), (2, 2));
    // What looks at the whole context, or upwards, is rendered whatever changed.
    for body in [
        "  a: {{#each pools}}{{json ../kubernetes.version}}{{/each}}\n",
        "  a: {{json (sha256 (json this))}}\n",
        "  a: {{#with kubernetes}}{{json version}}{{/with}}\n",
        "  a: {{#each pools}}{{json @root.kubernetes.version}}{{/each}}\n",
        "  a: {{json (default kubernetes.version \"none\")}}\n",
    ] {
        let library = library(&[(path, &template(body))]);
        let later = changed("/spec/kubernetes/version", json!("1.33.5"));
        let (differ, ..) = check(body, (&library, &before), (&library, &later));
        assert!(differ >= 2);
    }
}
