//! Plans that look at clusters: nodes as counted, drift and last operations; nothing is written; what moved refuses a kept plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use espalier::landscape::Target;
use espalier::sim::{Serving, Sim, serve};
use serde_json::{Value, json};

use crate::cli::{Ran, edit, git, repository, run};
use crate::fleet::{CANARY, Fleet, explain};

pub(crate) const SHOOT: &str = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots/mini";
const MINI: &str = "projects/shop/shoots/mini.yaml";

/// A landscape that is ready, with its clusters served to the program as to kubectl.
pub(crate) struct Served {
    pub(crate) fleet: Fleet,
    _serving: Serving,
    pub(crate) at: PathBuf,
    kubeconfig: String,
}

impl Served {
    pub(crate) async fn ready(shoots: &[&str]) -> Self {
        let fleet = Fleet::local(shoots).await;
        fleet.credentials().await;
        let ended = fleet.pass().await;
        assert_eq!(explain(&ended), "");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let sims = fleet.sims.iter().map(|(target, sim)| (target.to_string(), sim.clone())).collect();
        let serving = serve(sims, listener, None).await.expect("they are served");
        let file = fleet.dir.path().join("kubeconfig");
        std::fs::write(&file, &serving.kubeconfig).expect("a file");
        let at = fleet.dir.path().join("repo");
        Self { fleet, _serving: serving, at, kubeconfig: file.to_str().expect("UTF-8").to_owned() }
    }

    /// Runs the program for this landscape, with a kubeconfig.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let mut all = args.to_vec();
        all.extend(["-L", "local", "--kubeconfig", &self.kubeconfig]);
        let ran = tokio::task::block_in_place(|| run(&self.at, &all));
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "a secret was told: {}{}", ran.out, ran.err);
        ran
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}{}", ran.out, ran.err))
    }

    /// How many requests of the program wrote, and how many did not.
    pub(crate) fn requests(&self) -> (u64, u64) {
        let counters: Vec<_> = self.fleet.sims.values().map(Sim::counters).collect();
        let writes = counters.iter().flat_map(|c| &c.requests).filter(|(r, _)| r.user == "kubectl" && r.is_write());
        (writes.map(|(_, n)| n).sum(), counters.iter().map(|c| c.reads("kubectl")).sum())
    }

    /// Changes the garden's shoot as somebody else would.
    pub(crate) async fn edit(&self, path: &str, manager: &str, patch: &Value) {
        self.fleet.by_hand(&Target::Garden, "PATCH", &format!("{path}?fieldManager={manager}"), patch).await;
    }

    /// The pools of a shoot in the garden with something else in the first one.
    pub(crate) async fn pool(&self, path: &str, field: &str, value: Value) -> Value {
        let mut workers = self.fleet.get(&Target::Garden, path).await.expect("the shoot")["spec"]["provider"]["workers"].take();
        workers[0][field] = value;
        json!({ "spec": { "provider": { "workers": workers } } })
    }
}

fn find<'v>(plan: &'v Value, key: &str) -> &'v Value {
    let owners = plan["live"]["owners"].as_array().expect("owners");
    owners.iter().find(|o| o["owner"]["name"] == key).unwrap_or_else(|| panic!("{key} was not looked at: {plan}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_plan_counts_nodes_tells_drift_and_writes_nothing() {
    let served = Served::ready(&["mini"]).await;
    served.fleet.edit(MINI, "maximum: 1", "maximum: 3").await;
    served.fleet.edit(MINI, "type: m6i.large", "type: m6i.xlarge").await;
    let two = ["plan", "--from", "landscape/local~2", "--to", "landscape/local"];
    let offline = served.run(&two);
    assert!(
        offline.out.contains("  offline\n") && offline.out.contains("one: 1–3 nodes, surge"),
        "{}{}",
        offline.out,
        offline.err
    );

    // Somebody makes room by hand, and the autoscaler takes it.
    let patch = served.pool(SHOOT, "maximum", json!(9)).await;
    served.edit(SHOOT, "kubectl-edit", &patch).await;
    let (writes, reads) = served.requests();
    let live = served.run(&[&two[..], &["--live"]].concat());
    assert_eq!(live.code, offline.code, "{}{}", live.out, live.err);
    assert!(live.out.contains("live data of 20") && !live.out.contains("offline"), "{}", live.out);
    assert!(live.out.contains("one: 1 node now, of 1–3, surge"), "{}", live.out);
    assert!(live.out.contains("live: Create Succeeded · 1 node · 1 field not as Git says"), "{}", live.out);
    assert!(live.out.contains("Not in Git but changed in clusters: 1 field of 1 object"), "{}", live.out);
    let plan = served.json(&[&two[..], &["--live"]].concat());
    let mini = find(&plan, "mini");
    assert_eq!(mini["operation"]["state"], "Succeeded", "{mini}");
    assert_eq!(mini["nodes"], json!({"one": 1}));
    let field = &mini["drift"][0]["fields"][0];
    assert_eq!(
        (field["field"].as_str(), field["cause"].as_str()),
        (Some("provider.workers[one].maximum"), Some("human")),
        "{mini}"
    );
    assert_eq!((&field["desired"], &field["observed"], &field["manager"]), (&json!(1), &json!(9), &json!("kubectl-edit")));
    assert_eq!(plan["summary"]["replaced"], json!({"minimum": 1, "maximum": 1, "clusters": 1}));
    let schema = jsonschema::draft202012::new(&espalier::print::preview::schema()).expect("a schema");
    assert!(schema.is_valid(&plan), "{:?}", schema.iter_errors(&plan).next());
    let (written, read) = served.requests();
    assert!(written == writes && read > reads, "{written} requests wrote, {read} read");

    // Named, although it does not change.
    let named = served.run(&["plan", "--from", "landscape/local", "--to", "landscape/local", "shop/mini", "--live"]);
    assert!(named.out.contains("Live: Shoot shop/mini: Create Succeeded"), "{}{}", named.out, named.err);

    // Offline the plan is what it was, whatever the clusters have.
    assert_eq!(served.run(&two).out, offline.out);
    // Nobody can be reached: the plan comes, and a line says so.
    let nobody = tokio::task::block_in_place(|| run(&served.at, &[&two[..], &["--live", "-L", "local"]].concat()));
    assert_eq!(nobody.code, offline.code, "{}", nobody.err);
    assert!(nobody.out.contains("! the garden cannot be looked at") && nobody.out.contains("one: 1–3 nodes"), "{}", nobody.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_live_plan_is_refused_when_an_object_moved() {
    let served = Served::ready(&["mini"]).await;
    served.fleet.edit(MINI, "maximum: 1", "maximum: 3").await;
    let plan = ["plan", "--from", "landscape/local~1", "--to", "landscape/local", "--live", "--out", "plan.json"];
    let ran = served.run(&plan);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let kept: Value = serde_json::from_slice(&std::fs::read(served.at.join("plan.json")).expect("a file")).expect("JSON");
    let pinned: BTreeMap<&str, &Value> =
        kept["pins"]["observed"].as_array().expect("pins").iter().map(|p| (p["kind"].as_str().expect("a kind"), p)).collect();
    let before = served.fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    assert_eq!(pinned["Shoot"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert_eq!(pinned["Shoot"]["uid"], before["metadata"]["uid"]);
    let fine = served.run(&["apply", "plan.json"]);
    assert!(fine.code == 3 && fine.err.contains("say --yes"), "nothing moved: {}{}", fine.out, fine.err);

    served.edit(SHOOT, "kubectl-label", &json!({"metadata": {"labels": {"touched": "yes"}}})).await;
    let after = served.fleet.get(&Target::Garden, SHOOT).await.expect("the shoot");
    let moved = served.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(moved.code, 3, "{}{}", moved.out, moved.err);
    for word in ["Shoot/garden-shop/mini", version(&before), version(&after)] {
        assert!(moved.err.contains(word), "{word} is not in {}", moved.err);
    }
    let again = served.run(&plan);
    assert_eq!(again.code, 0, "{}", again.err);
    let fine = served.run(&["apply", "plan.json"]);
    assert!(fine.err.contains("say --yes"), "planned again: {}", fine.err);
}

/// Simulated clusters that `run` left in a folder are looked at as they are, and given back for the pass that carries the plan out.
#[test]
fn a_live_plan_of_kept_simulated_clusters_is_carried_out() {
    let dir = repository();
    let at = dir.path();
    for gone in
        ["lab/shoots/api", "lab/shoots/dual", "lab/shoots/farm", "lab/shoots/winter", "shop/shoots/pay", "shop/shoots/store"]
    {
        std::fs::remove_file(at.join(format!("projects/{gone}.yaml"))).expect("a file");
    }
    git(at, &["commit", "-q", "-am", "One shoot"]);
    let state = tempfile::tempdir().expect("a folder");
    let state = state.path().to_str().expect("UTF-8");
    let none = run(at, &["drift", "--sim", "--state-dir", state]);
    assert!(none.code == 2 && none.err.contains("there is no simulated cluster garden"), "{}{}", none.out, none.err);
    let once = run(at, &["run", "--landscape", "local", "--sim", "--once", "--state-dir", state]);
    assert_eq!(once.code, 0, "{}{}", once.out, once.err);
    let none = run(at, &["drift", "--exit-code", "--state-dir", state]);
    assert!(none.code == 0 && none.out.starts_with("No drift: "), "{}{}", none.out, none.err);
    edit(at, MINI, "maximum: 1", "maximum: 3");
    git(at, &["commit", "-q", "-am", "Room to grow"]);
    let plan = ["plan", "--from", "HEAD~1", "--to", "HEAD", "--live", "--state-dir", state, "--out", "plan.json"];
    let ran = run(at, &plan);
    assert!(ran.code == 0 && ran.out.contains("live: Create Succeeded · 1 node\n"), "{}{}", ran.out, ran.err);
    let ran = run(at, &["apply", "plan.json", "--sim", "--state-dir", state, "--yes"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(run(at, &["plan", "--sim", "--state-dir", state]).code, 64, "no cluster is looked at without --live");
}

/// A seed that cannot be reached is a line, and nothing in it is called gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_not_called_drift() {
    let served = Served::ready(&["mini"]).await;
    let text = std::fs::read_to_string(&served.kubeconfig).expect("a file");
    std::fs::write(&served.kubeconfig, text.replace("seed-aws-eu1", "elsewhere")).expect("a file");
    let ran = served.run(&["drift", "--exit-code"]);
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(
        ran.err.contains("seed-aws-eu1 cannot be looked at: ") && ran.out.starts_with("No drift seen"),
        "{}{}",
        ran.out,
        ran.err
    );
    let page = served.run(&["describe", "shop/mini"]);
    assert!(page.code == 0 && page.out.contains("Operation:    Create Succeeded"), "{}{}", page.out, page.err);
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().expect("a version")
}
