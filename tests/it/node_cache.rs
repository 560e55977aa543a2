//! The DNS cache of nodes is switched on and off again: what it left on nodes that stay is cleaned up before the last of it goes,
//! whatever happens meanwhile.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use espalier::daemon::View;
use espalier::landscape::{Kind, Owner, Target};
use espalier::snapshot::{Changes, Revision};
use espalier::status::Standing;
use serde_json::{Value, json};

use super::fleet::{Fleet, Running, example, explain};
use super::matrix::{SHIPPED, render_with};
use super::templates::unpacked;

const PATIENCE: Duration = Duration::from_mins(3);
const MINI: &str = "projects/shop/shoots/mini.yaml";
const OFF: &str = "  provider:\n    type: aws\n";
const ON: &str = "  systemComponents:\n    nodeLocalDNS:\n      enabled: true\n  provider:\n    type: aws\n";
const ASLEEP: &str = "\nspec:\n  hibernation:\n    enabled: true\n";
const AWAKE: &str = "\nspec:\n";
const CACHE: &str = "node-local-dns-one";
const CLEANUP: &str = "node-local-dns-cleanup";
const NAMESPACE: &str = "/api/v1/namespaces/shoot--shop--mini";
const RESOURCE: &str =
    "/apis/resources.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/managedresources/shoot-core-node-local-dns";
const SHOOT: &str = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots/mini";
const WORKER: &str = "/apis/extensions.gardener.cloud/v1alpha1/namespaces/shoot--shop--mini/workers/mini";

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

fn mini() -> Owner {
    Owner::project(Kind::Shoot, "shop", "mini")
}

/// The DaemonSets that the resource manager is to have in the shoot; `None` if nobody asks it for any.
async fn given(fleet: &Fleet) -> Option<Vec<Value>> {
    let resource = fleet.get(&seed(), RESOURCE).await?;
    let name = resource["spec"]["secretRefs"][0]["name"].as_str().expect("a name");
    let secret = fleet.get(&seed(), &format!("{NAMESPACE}/secrets/{name}")).await?;
    let mut out = Vec::new();
    for data in secret["data"].as_object().expect("data").values() {
        let bytes = STANDARD.decode(data.as_str().expect("text")).expect("base64");
        for document in serde_yaml::Deserializer::from_slice(&bytes) {
            let object: Value = serde::Deserialize::deserialize(document).expect("YAML");
            out.extend((object["kind"] == "DaemonSet").then_some(object));
        }
    }
    Some(out)
}

/// Their names.
async fn names(fleet: &Fleet) -> Vec<String> {
    let given = given(fleet).await.unwrap_or_default();
    given.iter().map(|object| object["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
}

/// How many Secrets there are with something for the resource manager to have on nodes.
async fn secrets(fleet: &Fleet) -> usize {
    let all = fleet.get(&seed(), &format!("{NAMESPACE}/secrets")).await.expect("a list");
    let names = all["items"].as_array().expect("items").iter().filter_map(|s| s["metadata"]["name"].as_str());
    names.filter(|name| name.contains("node-local-dns")).count()
}

/// What there is once nothing is left to do: these DaemonSets, and not one object for others.
async fn rests_with(fleet: &Fleet, daemon_sets: &[&str]) {
    let objects = usize::from(!daemon_sets.is_empty());
    let there = usize::from(fleet.get(&seed(), RESOURCE).await.is_some());
    assert_eq!(
        (names(fleet).await, there, secrets(fleet).await),
        (daemon_sets.iter().map(|n| (*n).to_owned()).collect(), objects, objects)
    );
    // What is told of it may be late.
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    let before = fleet.writes();
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert_eq!(fleet.writes() - before, 0, "nothing is to be written");
}

/// Waits until that is what the resource manager is to have.
async fn is_given(running: &mut Running, fleet: &Fleet, daemon_set: &str) {
    running.comes_true(daemon_set, PATIENCE, async || names(fleet).await == [daemon_set]).await;
}

/// Waits until the resource manager is asked to take it all away; what it was to have until then stays as it was.
async fn is_dropped(running: &mut Running, fleet: &Fleet, daemon_sets: &[&str]) {
    running
        .comes_true("its end", PATIENCE, async || {
            let resource = fleet.get(&seed(), RESOURCE).await.expect("it is held");
            assert_eq!(names(fleet).await, daemon_sets, "nothing takes its place");
            resource["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
}

/// Waits until nodes are being replaced at a commit.
async fn rolls(running: &mut Running, commit: &Revision) {
    let rolls = |view: &View| {
        let row = view.owners.get(&mini());
        view.revision.as_ref() == Some(commit) && row.is_some_and(|row| row.note.contains("worker"))
    };
    running.until("nodes to be replaced", rolls).await;
}

/// The shoot with other text in its file.
async fn of(from: &str, to: &str) -> Fleet {
    let mut files = example();
    files.retain(|path, _| !path.as_str().contains("/shoots/") || path.as_str() == MINI);
    let text = String::from_utf8(files[MINI].clone()).expect("text");
    assert!(text.contains(from), "{text}");
    files.insert(MINI.into(), text.replacen(from, to, 1).into_bytes());
    Fleet::of(files).await
}

/// The same with a cache on its nodes, and a resource manager that does not come to an end from now on.
async fn with_cache(from: &str, to: &str) -> Fleet {
    let fleet = of(from, to).await;
    fleet.credentials().await;
    fleet.edit(MINI, OFF, ON).await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    assert!(names(&fleet).await.contains(&CACHE.to_owned()));
    fleet.stick(&seed(), RESOURCE, true).await;
    fleet
}

/// The same, switched off, with a clean-up that goes on and on.
async fn cleaning() -> (Fleet, Running, Revision) {
    let fleet = with_cache(OFF, OFF).await;
    let off = fleet.edit(MINI, ON, OFF).await;
    let mut running = fleet.start().await;
    is_given(&mut running, &fleet, CLEANUP).await;
    (fleet, running, off)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_of_nodes_goes_once_they_are_cleaned_after_it() {
    let fleet = with_cache(OFF, OFF).await;
    let first = fleet.get(&seed(), RESOURCE).await.expect("it is there");
    let off = fleet.edit(MINI, ON, OFF).await;
    let mut running = fleet.start().await;
    is_given(&mut running, &fleet, CLEANUP).await;
    running.stop().await;
    let now = fleet.get(&seed(), RESOURCE).await.expect("it is there");
    assert_eq!(now["metadata"]["uid"], first["metadata"]["uid"], "the object that held the cache");

    // Who begins again knows what is still to be done.
    let mut running = fleet.start().await;
    let waits = |view: &View| {
        let row = view.owners.get(&mini());
        let cleans = row.is_some_and(|row| row.standing == Standing::Progressing && row.note.contains(CLEANUP));
        view.revision.as_ref() == Some(&off) && cleans
    };
    running.until("the clean-up to go on", waits).await;
    assert_eq!(names(&fleet).await, [CLEANUP]);
    fleet.stick(&seed(), RESOURCE, false).await;
    running.ready_at(&off).await;
    running.stop().await;
    rests_with(&fleet, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_comes_back_in_the_middle_of_its_clean_up() {
    let (fleet, mut running, _) = cleaning().await;
    let on = fleet.edit(MINI, OFF, ON).await;
    is_given(&mut running, &fleet, CACHE).await;
    fleet.stick(&seed(), RESOURCE, false).await;
    running.ready_at(&on).await;
    running.stop().await;
    rests_with(&fleet, &[CACHE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_comes_back_while_the_last_of_its_clean_up_goes() {
    let (fleet, mut running, _) = cleaning().await;
    let hold = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    let held = ["resources.gardener.cloud/gardener-resource-manager", "example.org/hold"];
    fleet.by_hand(&seed(), "PATCH", RESOURCE, &hold(json!(held))).await;
    fleet.stick(&seed(), RESOURCE, false).await;
    let finalizers = async || fleet.get(&seed(), RESOURCE).await.expect("it is held")["metadata"]["finalizers"].clone();
    running.comes_true("the end of the clean-up", PATIENCE, async || finalizers().await == json!(["example.org/hold"])).await;
    let on = fleet.edit(MINI, OFF, ON).await;
    let waits = |view: &View| {
        let row = view.owners.get(&mini());
        view.revision.as_ref() == Some(&on) && row.is_some_and(|row| row.standing == Standing::Progressing)
    };
    running.until("the cache to wait", waits).await;
    fleet.by_hand(&seed(), "PATCH", RESOURCE, &hold(Value::Null)).await;
    running.ready_at(&on).await;
    running.stop().await;
    rests_with(&fleet, &[CACHE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shoot_that_falls_asleep_in_the_middle_is_cleaned_when_it_wakes() {
    let (fleet, mut running, _) = cleaning().await;
    let asleep = fleet.edit(MINI, AWAKE, ASLEEP).await;
    running.ready_at(&asleep).await;
    fleet.stick(&seed(), RESOURCE, false).await;
    running.stop().await;
    rests_with(&fleet, &[CLEANUP]).await;
    fleet.edit(MINI, ASLEEP, AWAKE).await;
    assert_eq!(explain(&fleet.pass().await), "", "it is awake");
    rests_with(&fleet, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_switched_off_while_its_shoot_sleeps_is_cleaned_up_when_it_wakes() {
    let fleet = with_cache(OFF, OFF).await;
    fleet.stick(&seed(), RESOURCE, false).await;
    fleet.edit(MINI, AWAKE, ASLEEP).await;
    assert_eq!(explain(&fleet.pass().await), "", "it sleeps");
    fleet.edit(MINI, ON, OFF).await;
    assert_eq!(explain(&fleet.pass().await), "", "it sleeps without a cache");
    rests_with(&fleet, &[CLEANUP]).await;
    // Back and forth, and nobody is awake to see it.
    fleet.edit(MINI, OFF, ON).await;
    assert_eq!(explain(&fleet.pass().await), "", "it sleeps with a cache");
    rests_with(&fleet, &[CACHE]).await;
    fleet.edit(MINI, ON, OFF).await;
    fleet.edit(MINI, ASLEEP, AWAKE).await;
    assert_eq!(explain(&fleet.pass().await), "", "it is awake");
    rests_with(&fleet, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_replaced_are_not_cleaned() {
    let ipvs = "    version: 1.35.3\n    kubeProxy:\n      mode: IPVS\n";
    for shape in ["    version: 1.33.9\n", ipvs] {
        let fleet = with_cache("    version: 1.35.3\n", shape).await;
        // While they are, they ask the cache.
        fleet.stick(&seed(), WORKER, true).await;
        let off = fleet.edit(MINI, ON, OFF).await;
        let mut running = fleet.start().await;
        rolls(&mut running, &off).await;
        let resource = fleet.get(&seed(), RESOURCE).await.expect("it is there");
        assert_eq!((names(&fleet).await, &resource["metadata"]["deletionTimestamp"]), (vec![CACHE.to_owned()], &Value::Null));
        fleet.stick(&seed(), WORKER, false).await;
        is_dropped(&mut running, &fleet, &[CACHE]).await;
        fleet.stick(&seed(), RESOURCE, false).await;
        running.ready_at(&off).await;
        running.stop().await;
        rests_with(&fleet, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_pools_the_one_is_cleaned_that_stays_once_the_other_is_replaced() {
    let pool = "      - name: one\n";
    let older = "      - name: older\n        minimum: 1\n        maximum: 1\n        kubernetes:\n          version: 1.33.9\n        machine:\n          type: m6i.large\n        volume:\n          type: gp3\n          size: 25Gi\n        zones: [eu-west-1c]\n      - name: one\n";
    let fleet = with_cache(pool, older).await;
    fleet.stick(&seed(), WORKER, true).await;
    let off = fleet.edit(MINI, ON, OFF).await;
    let mut running = fleet.start().await;
    rolls(&mut running, &off).await;
    assert_eq!(names(&fleet).await, ["node-local-dns-older", CACHE]);
    fleet.stick(&seed(), WORKER, false).await;
    is_given(&mut running, &fleet, CLEANUP).await;
    let daemon_set = &given(&fleet).await.expect("it is there")[0];
    let terms = daemon_set
        .pointer("/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    let one = json!([{"matchExpressions": [{"key": "worker.gardener.cloud/pool", "operator": "In", "values": ["one"]}]}]);
    assert_eq!(terms, Some(&one));
    fleet.stick(&seed(), RESOURCE, false).await;
    running.ready_at(&off).await;
    running.stop().await;
    rests_with(&fleet, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shoot_goes_in_the_middle_of_the_clean_up() {
    let (fleet, mut running, _) = cleaning().await;
    let name = "  name: mini\n";
    fleet.edit(MINI, name, &format!("{name}  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n")).await;
    let confirmed = async || {
        let shoot = fleet.get(&Target::Garden, SHOOT).await.expect("it is there");
        shoot["metadata"]["annotations"]["confirmation.gardener.cloud/deletion"] == "true"
    };
    running.comes_true("the confirmation", PATIENCE, confirmed).await;
    let gone = fleet.commit(Changes::from([(MINI.into(), None)])).await;
    is_dropped(&mut running, &fleet, &[CLEANUP]).await;
    fleet.stick(&seed(), RESOURCE, false).await;
    running.until("its end", |view| view.revision.as_ref() == Some(&gone) && !view.owners.contains_key(&mini())).await;
    running.stop().await;
    assert_eq!(fleet.get(&seed(), NAMESPACE).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shoot_that_never_had_a_cache_is_not_cleaned_after_one() {
    let fleet = of(OFF, OFF).await;
    fleet.credentials().await;
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    rests_with(&fleet, &[]).await;
    fleet.edit(MINI, OFF, &ON.replace("true", "false")).await;
    let writes = |fleet: &Fleet| fleet.sims[&seed()].counters().writes("espalier");
    let before = writes(&fleet);
    assert_eq!(explain(&fleet.pass().await), "", "everything is ready");
    // The Cluster quotes the shoot, and that is all there is to write.
    assert_eq!(writes(&fleet) - before, 1);
    rests_with(&fleet, &[]).await;
}

/// The script takes away what the cache set up, and nothing else, and says so once the cache has had the time to end.
#[test]
fn nodes_are_clean_once_nothing_of_the_cache_came_back_for_a_while() {
    let all = render_with("node-local-dns-off", &SHIPPED.1);
    let script = all.iter().flat_map(|rendered| rendered.objects.iter().flat_map(unpacked)).find_map(|object| {
        let named = object["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("node-local-dns-cleanup-script"));
        named.then(|| object["data"]["cleanup.sh"].as_str().map(str::to_owned)).flatten()
    });
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let tmp = format!("{}/", dir.path().display());
    let script = script.expect("a script").replace("/tmp/", &tmp).replace("sleep 5", "tick");
    let put = |name: &str, text: &str| std::fs::write(at(name), text).expect("a file");
    let read = |name: &str| std::fs::read_to_string(at(name)).unwrap_or_default();
    put("cleanup.sh", &script);
    // A node of which the tables are files.
    let tool = |name: &str, text: &str| {
        put(name, &format!("#!/bin/sh\ncd {tmp}\n{text}"));
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(at(name), executable).expect("it is ours");
    };
    for family in ["iptables", "ip6tables"] {
        tool(&format!("{family}-legacy-save"), &format!("cat {family}.$2"));
        // Takes the rules away that it is told to, and leaves the rest.
        tool(
            &format!("{family}-legacy-restore"),
            &format!(
                "read table; table=${{table#?}}; grep '^-D ' | sed 's/^-D /-A /' >going\ngrep -vxFf going {family}.$table >left; mv left {family}.$table\n"
            ),
        );
        tool(&format!("{family}-nft-save"), "exit 1");
    }
    tool("ip", "case \"$2\" in show) test -e link;; delete) rm link;; esac");
    // After three looks the cache, which is not at its end yet, sets a rule up again. Whenever all is done it is the end.
    let again = "-A INPUT -d 169.254.20.10/32 -p udp -m comment --comment \"NodeLocal DNS Cache: allow DNS traffic\" -j ACCEPT";
    tool(
        "tick",
        &format!(
            "echo >>ticks\ntest \"$(wc -l <ticks)\" -ne 3 || echo '{again}' >>iptables.filter\ntest ! -e done || kill -TERM $PPID\n"
        ),
    );
    let ours = "-A PREROUTING -d 10.0.0.10/32 -p tcp -m comment --comment \"NodeLocal DNS Cache: skip conntrack\" -j NOTRACK\n";
    let foreign = "-A INPUT -m comment --comment \"kubernetes health check\" -j ACCEPT\n";
    put("iptables.raw", &format!("*raw\n{ours}COMMIT\n"));
    put("iptables.filter", &format!("*filter\n{again}\n{foreign}COMMIT\n"));
    put("ip6tables.filter", &format!("*filter\n{foreign}COMMIT\n"));
    put("link", "");
    let command = format!("PATH={}:$PATH exec sh {tmp}cleanup.sh", dir.path().display());
    let ran = Command::new("sh").args(["-c", &command]).output().expect("a shell");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && at("done").exists(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(read("iptables.raw"), "*raw\nCOMMIT\n");
    assert_eq!(read("iptables.filter"), format!("*filter\n{foreign}COMMIT\n"));
    assert_eq!(read("ip6tables.filter"), format!("*filter\n{foreign}COMMIT\n"));
    assert!(!at("link").exists(), "{said}");
    // One look that cleans, two quiet ones, one that cleans again, and eight quiet ones.
    assert_eq!((read("ticks").lines().count(), said.lines().count()), (12, 4), "{said}");
}
