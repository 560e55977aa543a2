//! The planner: what may be done now, what must wait, what may go, and what never may.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use espalier::digest;
use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::{
    COMPONENT_LABEL, DIGEST_ANNOTATION, Live, OWNER_LABEL, Object, ObjectKey, Observed, TRACKING_ANNOTATION, garden_key,
};
use espalier::plan::when::Span;
use espalier::plan::{self, Action, ComponentState, OwnerPlan, Request};
use espalier::render::{
    Body, Component, ComponentId, DeletePhase, DesiredObject, Hibernate, Ready, Release, RenderState, Rendered, Scope, Trigger,
};
use serde_json::{Value, json};

fn owner() -> Owner {
    Owner::project(Kind::Shoot, "dev", "botany")
}

fn seed() -> Target {
    Target::Seed("eu".into())
}

fn desired(component: &str, name: &str, value: &str) -> DesiredObject {
    let key = ObjectKey::new("apps", "Deployment", "shoot--dev--botany", name);
    let content = json!({"spec": {"value": value}});
    let digest = digest::of_value(&content);
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": key.namespace, "labels": {OWNER_LABEL: owner().label(), COMPONENT_LABEL: component}},
        "spec": {"value": value},
    });
    DesiredObject { key, api_version: "apps/v1".into(), body: Body::written(body), once: None, digest, sensitive: false }
}

/// The live object that applying `wanted` leaves behind, rolled out.
fn live(wanted: &DesiredObject, component: &str) -> Object {
    Object {
        key: wanted.key.clone(),
        api_version: wanted.api_version.clone(),
        uid: format!("uid-{}", wanted.key.name),
        resource_version: "7".into(),
        generation: 1,
        deleting: false,
        finalizers: Vec::new(),
        labels: BTreeMap::from([(OWNER_LABEL.into(), owner().label()), (COMPONENT_LABEL.into(), component.into())]),
        annotations: BTreeMap::from([
            (DIGEST_ANNOTATION.into(), wanted.digest.to_string()),
            (TRACKING_ANNOTATION.into(), format!("{};{}", owner(), wanted.key.path())),
        ]),
        controlled: false,
        fields: Some(Arc::new(json!({
            "f:metadata": {"f:labels": {format!("f:{OWNER_LABEL}"): {}, format!("f:{COMPONENT_LABEL}"): {}}},
            "f:spec": {"f:value": {}},
        }))),
        kept: Arc::new(json!({
            "spec": {"replicas": 1},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
        })),
    }
}

fn rendered(name: &str, needs: &[&str], objects: Vec<DesiredObject>, state: RenderState) -> Rendered {
    let component = Component {
        id: ComponentId { scope: Scope::Shoot, name: name.into() },
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        in_garden: false,
        each: None,
        when: None,
        ready: Ready::Rollout,
        hibernate: Hibernate::Kept,
        trigger: Trigger::None,
        once: Vec::new(),
        delete: DeletePhase::Early,
        outlasts: Vec::new(),
        follows: None,
        beside: false,
        exports: BTreeMap::new(),
        reads: BTreeSet::new(),
        secrets: BTreeSet::new(),
    };
    Rendered { component: Arc::new(component), state, objects }
}

fn wanted(name: &str, needs: &[&str], value: &str) -> Rendered {
    rendered(name, needs, vec![desired(name, name, value)], RenderState::Wanted)
}

fn observed(objects: Vec<Object>) -> Observed {
    let mut observed = Observed::default();
    let mut garden = Live::default();
    garden.complete = true;
    observed.targets.insert(Target::Garden, garden);
    let mut live = Live::default();
    live.complete = true;
    for object in objects {
        live.insert(Arc::new(object));
    }
    observed.targets.insert(seed(), live);
    observed
}

#[derive(Default)]
struct Case {
    components: Vec<Rendered>,
    live: Vec<Object>,
    garden: Vec<Object>,
    held: bool,
    deleting: bool,
    asleep: bool,
    incomplete: bool,
    gates: Vec<(String, String)>,
    waits: Option<Span>,
    now: i64,
}

fn run(case: Case) -> OwnerPlan {
    let owner = owner();
    let release = Release { owner: owner.clone(), target: seed(), components: case.components };
    let mut observed = observed(case.live);
    let garden = observed.targets.get_mut(&Target::Garden).expect("made above");
    case.garden.into_iter().for_each(|object| garden.insert(Arc::new(object)));
    if case.incomplete {
        let live = observed.targets.get_mut(&seed()).expect("made above");
        live.complete = false;
        live.problem = Some("Deployment could not be listed: 500".into());
    }
    plan::plan(Request {
        owner: &owner,
        releases: &[Arc::new(release)],
        manifest: None,
        manifest_after: None,
        decisions: Vec::new(),
        generate: Vec::new(),
        observed: &observed,
        gates: &case.gates,
        held: case.held,
        deleting: case.deleting,
        asleep: case.asleep,
        adopt: &BTreeSet::new(),
        contested: &BTreeSet::new(),
        again: None,
        now: case.now,
        waits: case.waits,
    })
}

/// The plan as lines: component, state, what is done now, what later.
fn lines(plan: &OwnerPlan) -> Vec<String> {
    plan.components
        .iter()
        .map(|c| {
            let steps = |steps: &[plan::Step]| {
                steps.iter().map(|s| format!("{} {}", s.action.verb(), s.key.name)).collect::<Vec<_>>().join(",")
            };
            format!(
                "{}: {} now[{}] later[{}]",
                c.id.name,
                espalier::status::state_name(&c.state),
                steps(&c.steps),
                steps(&c.later)
            )
        })
        .collect()
}

fn check(case: Case, expected: &[&str]) {
    assert_eq!(lines(&run(case)), expected);
}

#[test]
fn needs_gate_creation() {
    check(
        Case { components: vec![wanted("etcd", &[], "1"), wanted("apiserver", &["etcd"], "1")], ..Case::default() },
        &["etcd: progressing now[create etcd] later[]", "apiserver: blocked now[] later[create apiserver]"],
    );
}

#[test]
fn needs_gate_changes_of_content() {
    let etcd = live(&desired("etcd", "etcd", "1"), "etcd");
    let mut unready = etcd.clone();
    unready.kept = Arc::new(json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 0}}));
    let apiserver = live(&desired("apiserver", "apiserver", "1"), "apiserver");
    let components = || vec![wanted("etcd", &[], "1"), wanted("apiserver", &["etcd"], "2")];
    check(
        Case { components: components(), live: vec![unready, apiserver.clone()], ..Case::default() },
        &["etcd: progressing now[] later[]", "apiserver: blocked now[] later[update apiserver]"],
    );
    check(
        Case { components: components(), live: vec![etcd, apiserver], ..Case::default() },
        &["etcd: ready now[] later[]", "apiserver: progressing now[update apiserver] later[]"],
    );
}

#[test]
fn repair_is_not_gated() {
    let mut etcd = live(&desired("etcd", "etcd", "1"), "etcd");
    etcd.kept = Arc::new(json!({"spec": {"replicas": 1}, "status": {"observedGeneration": 0}}));
    let mut apiserver = live(&desired("apiserver", "apiserver", "1"), "apiserver");
    apiserver.fields = Some(Arc::new(json!({"f:metadata": {"f:labels": {format!("f:{OWNER_LABEL}"): {}}}})));
    let case = || Case {
        components: vec![wanted("etcd", &[], "1"), wanted("apiserver", &["etcd"], "1")],
        live: vec![etcd.clone(), apiserver.clone()],
        gates: vec![("seed eu".into(), "not ready".into())],
        ..Case::default()
    };
    check(case(), &["etcd: progressing now[] later[]", "apiserver: progressing now[restore apiserver] later[]"]);
    check(
        Case { held: true, ..case() },
        &["etcd: progressing now[] later[]", "apiserver: progressing now[restore apiserver] later[]"],
    );
}

#[test]
fn what_waits_for_a_window_is_kept_and_repaired() {
    let span = Span { begin: 1_000, last: 3_700, end: 4_600, offset: 0 };
    let etcd = live(&desired("etcd", "etcd", "1"), "etcd");
    let mut drifted = live(&desired("apiserver", "apiserver", "1"), "apiserver");
    drifted.fields = Some(Arc::new(json!({"f:metadata": {"f:labels": {format!("f:{OWNER_LABEL}"): {}}}})));
    let apiserver = || {
        rendered(
            "apiserver",
            &["etcd"],
            vec![desired("apiserver", "apiserver", "1"), desired("apiserver", "service", "1")],
            RenderState::Wanted,
        )
    };
    let case = |components, live| Case { components, live, waits: Some(span), ..Case::default() };

    // Other content waits, and so does a component that is new; what is restored or missing of another does not, whatever it needs.
    let plan = run(case(vec![wanted("etcd", &[], "2"), apiserver(), wanted("new", &[], "1")], vec![etcd.clone(), drifted]));
    assert_eq!(
        lines(&plan),
        [
            "etcd: waiting now[] later[update etcd]",
            "apiserver: progressing now[restore apiserver,create service] later[]",
            "new: waiting now[] later[create new]",
        ]
    );
    assert_eq!((plan.waits, plan.again), (Some(span), Some(1_000)));
    // What is not wanted any more stays until then.
    let other = live(&desired("gone", "gone", "1"), "gone");
    let plan = run(case(vec![wanted("etcd", &[], "1")], vec![etcd.clone(), other]));
    assert_eq!(lines(&plan), ["etcd: ready now[] later[]", "gone: waiting now[] later[delete gone]"]);
    // Where nothing is otherwise, nothing waits.
    let plan = run(case(vec![wanted("etcd", &[], "1")], vec![etcd]));
    assert_eq!((lines(&plan), plan.waits, plan.again), (vec!["etcd: ready now[] later[]".to_owned()], None, None));
}

#[test]
fn what_outlasts_another_goes_once_that_is_ready() {
    let cache = || {
        let mut cache = rendered("cache", &[], Vec::new(), RenderState::Skipped("its condition is not met".into()));
        Arc::make_mut(&mut cache.component).outlasts = vec!["worker".into()];
        cache
    };
    let old = || live(&desired("cache", "cache", "1"), "cache");
    let worker = desired("worker", "worker", "1");
    let case = |value: &str| Case {
        components: vec![cache(), wanted("worker", &[], value)],
        live: vec![old(), live(&worker, "worker")],
        ..Case::default()
    };
    check(case("2"), &["cache: removing now[] later[delete cache]", "worker: progressing now[update worker] later[]"]);
    check(case("1"), &["cache: removing now[delete cache] later[]", "worker: ready now[] later[]"]);
}

#[test]
fn what_is_asked_to_go_while_its_owner_sleeps_is_not_waited_for() {
    let case = |asleep: bool, deleting: bool, finalizers: &[&str]| {
        let mut addon = live(&desired("addon", "addon", "1"), "addon");
        addon.deleting = deleting;
        addon.finalizers = finalizers.iter().map(|f| (*f).to_owned()).collect();
        let off = rendered("addon", &[], Vec::new(), RenderState::Skipped("its condition is not met".into()));
        Case { components: vec![off], live: vec![addon], asleep, ..Case::default() }
    };
    let manager = "resources.gardener.cloud/gardener-resource-manager";
    check(case(true, false, &[manager]), &["addon: removing now[delete addon] later[]"]);
    check(case(true, true, &[manager]), &["addon: skipped now[] later[]"]);
    check(case(false, true, &[manager]), &["addon: removing now[] later[]"]);
    // The one of its seed does not sleep, and others have reasons of their own.
    check(case(true, true, &[&format!("{manager}-seed")]), &["addon: removing now[] later[]"]);
    check(case(true, true, &[manager, "example.org/hold"]), &["addon: removing now[] later[]"]);
}

#[test]
fn nothing_is_created_in_a_cluster_that_was_not_listed() {
    let plan = run(Case { components: vec![wanted("etcd", &[], "1")], incomplete: true, ..Case::default() });
    assert_eq!(lines(&plan), ["etcd: held now[] later[create etcd]"]);
    let ComponentState::Held(why) = &plan.components[0].state else { panic!("held") };
    assert_eq!(why, "seed-eu could not be listed completely: Deployment could not be listed: 500");
}

#[test]
fn a_foreign_object_is_held_and_never_touched() {
    let mut foreign = live(&desired("etcd", "etcd", "1"), "etcd");
    foreign.annotations.clear();
    check(
        Case { components: vec![wanted("etcd", &[], "1")], live: vec![foreign], ..Case::default() },
        &["etcd: held now[] later[]"],
    );
}

#[test]
fn labels_select_but_never_prove_ownership() {
    // A controller copied our labels and annotations onto an object of its own.
    let ours = live(&desired("service", "service", "1"), "service");
    let mut copy = ours.clone();
    copy.key = ObjectKey::new("discovery.k8s.io", "EndpointSlice", "shoot--dev--botany", "service-x7f");
    let mut controlled = live(&desired("service", "replica", "1"), "service");
    controlled.controlled = true;
    check(
        Case { components: vec![wanted("service", &[], "1")], live: vec![ours, copy, controlled], ..Case::default() },
        &["service: ready now[] later[]"],
    );
}

#[test]
fn what_a_component_dropped_goes_once_the_rest_is_as_wanted() {
    let kept = live(&desired("etcd", "etcd", "1"), "etcd");
    let dropped = live(&desired("etcd", "old", "1"), "etcd");
    let case = |value| Case {
        components: vec![wanted("etcd", &[], value)],
        live: vec![kept.clone(), dropped.clone()],
        ..Case::default()
    };
    check(case("1"), &["etcd: progressing now[delete old] later[]"]);
    check(case("2"), &["etcd: progressing now[update etcd] later[delete old]"]);
    check(Case { held: true, ..case("1") }, &["etcd: ready now[] later[]"]);
    check(Case { incomplete: true, ..case("1") }, &["etcd: ready now[] later[]"]);
}

#[test]
fn a_component_that_waits_keeps_its_objects() {
    let object = live(&desired("worker", "worker", "1"), "worker");
    for state in [RenderState::Waiting("infrastructure.nodes".into()), RenderState::Failed("template error".into())] {
        let plan = run(Case {
            components: vec![rendered("worker", &[], Vec::new(), state)],
            live: vec![object.clone()],
            ..Case::default()
        });
        assert!(plan.components.iter().all(|c| c.steps.is_empty() && c.later.is_empty()), "{:?}", lines(&plan));
    }
}

/// A garden that was restored empty, or a fact that is not known yet, must not take a control plane with it.
#[test]
fn nothing_goes_while_nothing_is_rendered() {
    let live = || vec![live(&desired("etcd", "etcd", "1"), "etcd"), live(&desired("apiserver", "apiserver", "1"), "apiserver")];
    check(Case { live: live(), ..Case::default() }, &[]);
    let gone = || rendered("etcd", &[], Vec::new(), RenderState::Skipped("it is not wanted".into()));
    check(
        Case { components: vec![gone()], live: live(), ..Case::default() },
        &["etcd: removing now[delete etcd] later[]", "apiserver: removing now[delete apiserver] later[]"],
    );
}

#[test]
fn unwanted_components_go_in_reversed_order() {
    let skipped = |name: &str, needs: &[&str]| rendered(name, needs, Vec::new(), RenderState::Skipped("hibernated".into()));
    let etcd = live(&desired("etcd", "etcd", "1"), "etcd");
    let apiserver = live(&desired("apiserver", "apiserver", "1"), "apiserver");
    let components = || vec![skipped("etcd", &[]), skipped("apiserver", &["etcd"])];
    check(
        Case { components: components(), live: vec![etcd.clone(), apiserver], ..Case::default() },
        &["etcd: removing now[] later[delete etcd]", "apiserver: removing now[delete apiserver] later[]"],
    );
    check(
        Case { components: components(), live: vec![etcd], ..Case::default() },
        &["etcd: removing now[delete etcd] later[]", "apiserver: skipped now[] later[]"],
    );
}

#[test]
fn an_owner_goes_in_reversed_order_and_only_by_tracking() {
    let etcd = live(&desired("etcd", "etcd", "1"), "etcd");
    let apiserver = live(&desired("apiserver", "apiserver", "1"), "apiserver");
    let mut copy = live(&desired("apiserver", "copy", "1"), "apiserver");
    copy.annotations.clear();
    let plan = run(Case {
        components: vec![wanted("etcd", &[], "1"), wanted("apiserver", &["etcd"], "1")],
        live: vec![etcd, apiserver, copy],
        deleting: true,
        ..Case::default()
    });
    assert_eq!(lines(&plan), ["apiserver: removing now[delete apiserver] later[]", "etcd: removing now[] later[delete etcd]"]);
    let Action::Delete { uid, resource_version, .. } = &plan.components[0].steps[0].action else { panic!("a deletion") };
    assert_eq!((uid.as_str(), resource_version.as_str()), ("uid-apiserver", "7"), "deletes carry preconditions");
}

#[test]
fn what_goes_early_waits_for_nobody_who_goes_late() {
    let apiserver = || {
        let mut apiserver = wanted("apiserver", &["audit"], "1");
        Arc::make_mut(&mut apiserver.component).delete = DeletePhase::Late;
        apiserver
    };
    let live = |name: &str| live(&desired(name, name, "1"), name);
    let case = |live: Vec<Object>| Case {
        components: vec![wanted("audit", &[], "1"), apiserver()],
        live,
        deleting: true,
        ..Case::default()
    };
    check(
        case(vec![live("apiserver"), live("audit")]),
        &["apiserver: removing now[] later[delete apiserver]", "audit: removing now[delete audit] later[]"],
    );
    check(case(vec![live("apiserver")]), &["apiserver: removing now[delete apiserver] later[]"]);
}

#[test]
fn what_is_used_keeps_all_that_it_has() {
    let case = |gates: &[(&str, &str)]| Case {
        live: vec![live(&desired("etcd", "etcd", "1"), "etcd")],
        gates: gates.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())).collect(),
        deleting: true,
        ..Case::default()
    };
    check(case(&[]), &["etcd: removing now[delete etcd] later[]"]);
    let plan = run(case(&[("it is still used", "Shoot dev/other")]));
    assert_eq!(lines(&plan), ["etcd: held now[] later[delete etcd]"]);
    let ComponentState::Held(why) = &plan.components[0].state else { panic!("held") };
    assert_eq!(why, "it is still used: Shoot dev/other");
}

#[test]
fn nothing_goes_while_its_seed_is_not_reached() {
    let placed = |seed: &str| {
        let mut shoot = live(&desired("manifest", "botany", "1"), "manifest");
        shoot.key = garden_key(&owner());
        shoot.annotations.insert(TRACKING_ANNOTATION.into(), format!("{};{}", owner(), shoot.key.path()));
        shoot.kept = Arc::new(json!({"spec": {"seedName": seed}}));
        shoot
    };
    let case = |seed: &str| Case { garden: vec![placed(seed)], deleting: true, ..Case::default() };
    check(case("eu"), &["manifest: removing now[delete botany] later[]"]);
    check(case("elsewhere"), &["manifest: held now[] later[delete botany]"]);
}

#[test]
fn an_immutable_field_means_recreate() {
    let make = |role: &str| {
        let key = ObjectKey::new("rbac.authorization.k8s.io", "RoleBinding", "shoot--dev--botany", "b");
        let body = json!({"kind": "RoleBinding", "roleRef": {"name": role}});
        let digest = digest::of_value(&body);
        DesiredObject {
            key,
            api_version: "rbac.authorization.k8s.io/v1".into(),
            body: Body::written(body),
            once: None,
            digest,
            sensitive: false,
        }
    };
    let mut before = live(&make("a"), "rbac");
    before.kept = Arc::new(json!({"roleRef": {"name": "a"}}));
    before.fields = Some(Arc::new(json!({"f:roleRef": {}})));
    let component = |role| rendered("rbac", &[], vec![make(role)], RenderState::Wanted);
    check(
        Case { components: vec![component("a")], live: vec![before.clone()], ..Case::default() },
        &["rbac: ready now[] later[]"],
    );
    check(
        Case { components: vec![component("b")], live: vec![before], ..Case::default() },
        &["rbac: progressing now[recreate b] later[]"],
    );
}

#[test]
fn progress_counts_ready_components_of_wanted_ones() {
    let plan = run(Case {
        components: vec![
            wanted("a", &[], "1"),
            wanted("b", &["a"], "1"),
            rendered("c", &[], Vec::new(), RenderState::Skipped("workerless".into())),
        ],
        live: vec![live(&desired("a", "a", "1"), "a")],
        ..Case::default()
    });
    assert_eq!(plan.progress, 50);
    assert!(!plan::settled(&plan));
    let value: Value = serde_json::to_value(&plan).expect("plans are data");
    assert_eq!(value["components"][1]["steps"][0]["action"]["action"], "create");
}

/// A Secret that waits for a token of the garden.
fn awaiting() -> DesiredObject {
    let name = "garden-access-extension";
    let key = ObjectKey::new("", "Secret", "extension-a", name);
    let body = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "extension-a", "labels": {
            "resources.gardener.cloud/purpose": "token-requestor", "resources.gardener.cloud/class": "garden",
        }, "annotations": {
            "serviceaccount.resources.gardener.cloud/namespace": "seed-eu", "serviceaccount.resources.gardener.cloud/name": "extension-a",
        }},
    });
    let digest = digest::of_value(&body);
    DesiredObject { key, api_version: "v1".into(), body: Body::written(body), once: None, digest, sensitive: false }
}

#[test]
fn a_token_is_renewed_when_it_is_time_whatever_else_waits() {
    let renew = "serviceaccount.resources.gardener.cloud/token-renew-timestamp";
    let there = |renewed_at: Option<&str>| {
        let mut live = live(&awaiting(), "access");
        live.fields = Some(Arc::new(json!({"f:metadata": {
            "f:labels": {"f:resources.gardener.cloud/purpose": {}, "f:resources.gardener.cloud/class": {}},
            "f:annotations": {
                "f:serviceaccount.resources.gardener.cloud/namespace": {}, "f:serviceaccount.resources.gardener.cloud/name": {},
            },
        }})));
        // Not what is written there by somebody counts.
        live.annotations.insert("serviceaccount.resources.gardener.cloud/name".into(), "espalier".into());
        live.annotations.extend(renewed_at.map(|at| (renew.to_owned(), at.to_owned())));
        live
    };
    let planned = |live: Vec<Object>, gates: Vec<(String, String)>, held: bool| {
        let components = vec![rendered("access", &[], vec![awaiting()], RenderState::Wanted)];
        run(Case { components, live, gates, held, now: 1_000, ..Case::default() })
    };
    let shut = vec![("garden".to_owned(), String::new())];
    assert_eq!(
        lines(&planned(Vec::new(), Vec::new(), false)),
        ["access: progressing now[create garden-access-extension] later[]"]
    );
    for live in [there(None), there(Some("1970-01-01T00:16:40Z"))] {
        let plan = planned(vec![live], shut.clone(), true);
        assert_eq!(lines(&plan), ["access: progressing now[renew garden-access-extension] later[]"]);
        let Action::Renew { namespace, account, .. } = &plan.components[0].steps[0].action else { panic!("it is renewed") };
        assert_eq!((namespace.as_str(), account.as_str()), ("seed-eu", "extension-a"));
    }
    let plan = planned(vec![there(Some("1970-01-01T00:16:41Z"))], shut, false);
    assert_eq!((lines(&plan), plan.again), (vec!["access: ready now[] later[]".to_owned()], Some(1_001)));
}
