//! What is filled into manifests that came up before, against what the manifests themselves come to.

use espalier::facts::Facts;
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::ObjectKey;
use espalier::render::context::{self, Sources};
use espalier::render::{self, Components, DesiredObject, Images, Known, RenderState, Rendered, Scope};
use espalier::secrets::Bodies;
use serde_json::json;

use super::matrix::{self, MATRIX};
use super::templates;

/// A shoot of a shape with a name of its own.
fn rendered(library: &(Components, Images), shape: &str, shoot: &str) -> Vec<Rendered> {
    let owner = Owner::project(Kind::Shoot, "shop", shoot);
    let mut objects = matrix::objects(shape);
    let mut manifest = objects.remove(&templates::owner()).expect("a shoot").as_ref().clone();
    manifest["metadata"]["name"] = json!(shoot);
    // Numbers differ as well.
    for worker in manifest["spec"]["provider"]["workers"].as_array_mut().into_iter().flatten() {
        worker["maximum"] = json!(20 + shoot.len());
    }
    objects.insert(owner.clone(), manifest.into());
    let namespace = format!("shoot--shop--{shoot}");
    let mut identity = templates::identity();
    identity.technical_id = Some(namespace.clone());
    let context =
        context::shoot(&Sources { objects: &objects, owner: &owner, identity: &identity }).expect("everything is known");
    let known = Known {
        owner: &owner,
        target: &Target::Seed("eu1".into()),
        namespace: &namespace,
        garden_namespace: "garden-shop",
        names: None,
        facts: &Facts::default(),
        bodies: &Bodies::default(),
        images: &library.1,
        digest_key: None,
        offline: true,
    };
    render::components(&library.0, Scope::Shoot, &context, &known).components
}

/// Everything about objects, whatever they are made of.
fn told(rendered: &[Rendered]) -> Vec<(String, RenderState, Vec<String>)> {
    let object = |o: &DesiredObject| {
        let mut yaml = String::new();
        o.body.append_yaml(&mut yaml);
        assert_eq!(ObjectKey::of(&o.body), Some(o.key.clone()));
        assert_eq!(espalier::document::to_yaml(&o.body), yaml, "{}", o.key);
        format!("{} {} {} {:?} {}\n{}\n{yaml}", o.key.path(), o.api_version, o.digest, o.once, o.sensitive, *o.body)
    };
    rendered.iter().map(|r| (r.component.id.name.clone(), r.state.clone(), r.objects.iter().map(object).collect())).collect()
}

/// What differs most between shoots; every eighth of the others is compared as well.
const SHAPES: [&str; 4] = ["standard", "ha-zone", "many-pools", "watched"];

#[test]
fn what_is_filled_in_is_what_the_manifests_come_to() {
    let shared = templates::compiled();
    let (mut all, mut filled) = (0, 0);
    let (mut wanted, mut run) = (0, 0);
    let every_eighth = MATRIX.iter().map(|(shape, _)| *shape).step_by(8);
    for shape in SHAPES.into_iter().chain(every_eighth) {
        // What comes up twice is kept.
        rendered(&shared, shape, "web");
        rendered(&shared, shape, "other");
        // `shop` is the name of its project as well, and `1e3` a number for YAML.
        for shoot in ["third", "shop", "1e3"] {
            rendered(&shared, shape, shoot);
            let before = shared.0.runs();
            let again = rendered(&shared, shape, shoot);
            run += shared.0.runs() - before;
            wanted += again.iter().filter(|r| r.state == RenderState::Wanted).count();
            let objects = again.iter().flat_map(|r| &r.objects);
            all += objects.clone().count();
            filled += objects.filter(|o| o.body.is_filled_in()).count();
            // Nothing came up before in a library of its own.
            let alone = rendered(&templates::compiled(), shape, shoot);
            assert!(alone.iter().flat_map(|r| &r.objects).all(|o| !o.body.is_filled_in()), "{shape}: it is compared with itself");
            let (expected, found) = (told(&alone), told(&again));
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected, found, "{shape}");
            }
            assert_eq!(expected.len(), found.len());
        }
    }
    assert!(run * 10 < wanted, "{run} of {wanted} templates were run for what they had written before");
    assert!(filled * 10 > all * 9, "only {filled} of {all} objects were filled in");
}
