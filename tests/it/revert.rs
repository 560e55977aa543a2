//! Bad commits and what takes them back, against simulated clusters: counts, never times.

use std::collections::{BTreeMap, BTreeSet};

use espalier::landscape::{Kind, Owner, Target};
use espalier::observed::TRACKING_ANNOTATION;
use espalier::sim::{ALWAYS, Matching, Rule};
use espalier::snapshot::{Changes, RepoPath, Revision};
use espalier::status::Standing;
use serde_json::Value;

use super::fleet::{BRANCH, Dump, Fleet, NOW, STATUS, example, objects};

fn seed() -> Target {
    Target::Seed("aws-eu1".into())
}

fn shoot(name: &str) -> Owner {
    Owner::project(Kind::Shoot, "lab", name)
}

fn path(name: &str) -> RepoPath {
    format!("projects/lab/shoots/{name}.yaml").into()
}

/// The example without its shoots.
fn bare() -> BTreeMap<RepoPath, Vec<u8>> {
    let mut files = example();
    files.retain(|path, _| !path.as_str().contains("/shoots/"));
    files
}

/// The smallest shoot of the example under other names.
fn text(name: &str) -> String {
    let text = example().remove("projects/lab/shoots/api.yaml").expect("a shoot");
    String::from_utf8(text).expect("text").replace("name: api\n", &format!("name: {name}\n"))
}

fn names(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{prefix}{i:02}")).collect()
}

/// What `git revert` makes of a commit, on the branch.
async fn revert(fleet: &Fleet, bad: &Revision) -> Revision {
    let head = fleet.head().await;
    let log = fleet.repo.log(bad, None, 1).await.expect("walks");
    let made = fleet.repo.revert(bad, &head, espalier::git::revert_message(&log[0], Vec::new()), NOW).await.expect("reverts");
    let espalier::git::Reverted::Made(made) = made else { panic!("{made:?}") };
    fleet.repo.publish(BRANCH, Some(&head), &made, "revert").await.expect("published");
    made
}

/// The objects that we wrote in a seed for shoots, in their namespaces, as they are.
async fn of_shoots(fleet: &Fleet, names: &[String]) -> Dump {
    let spaces: BTreeSet<String> = names.iter().map(|name| format!("shoot--lab--{name}")).collect();
    let all = objects(&fleet.sims[&seed()]).await;
    let metadata = |object: &Value, key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    all.into_iter()
        .filter(|object| spaces.contains(&metadata(object, "namespace")))
        .filter(|object| object.pointer("/metadata/annotations").is_some_and(|a| a.get(TRACKING_ANNOTATION).is_some()))
        .map(|object| (format!("{}/{}/{}", object["kind"], metadata(&object, "namespace"), metadata(&object, "name")), object))
        .collect()
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
}

/// The objects that are new, gone, or have another version.
fn written<'a>(before: &'a Dump, after: &'a Dump) -> BTreeSet<&'a str> {
    let names = before.keys().chain(after.keys());
    names.filter(|name| before.get(*name).map(version) != after.get(*name).map(version)).map(String::as_str).collect()
}

fn deletes(fleet: &Fleet) -> u64 {
    let of = |sim: &espalier::sim::Sim| -> u64 {
        let requests = sim.counters().requests;
        let ours = requests.iter().filter(|(r, _)| r.user == "espalier" && r.verb.starts_with("delete"));
        ours.map(|(_, n)| n).sum()
    };
    fleet.sims.values().map(of).sum()
}

async fn trailers(fleet: &Fleet, key: &str) -> Vec<String> {
    let tip = fleet.status_tip().await.expect("a status branch");
    let log = fleet.repo.log(&tip, None, 1).await.expect("walks");
    log[0].trailers.iter().filter(|(k, _)| k == key).map(|(_, value)| value.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_in_the_middle_of_a_rollout_undoes_what_was_done_and_no_more() {
    let (reached, stuck, fresh) = (names("a", 4), names("b", 4), names("n", 3));
    let mut files = bare();
    files.extend(reached.iter().chain(&stuck).map(|name| (path(name), text(name).into_bytes())));
    let fleet = Fleet::of(files).await;
    fleet.credentials().await;
    fleet.pass().await;
    let (done, kept) = (of_shoots(&fleet, &reached).await, of_shoots(&fleet, &stuck).await);

    // The bad commit: half of the shoots take it, writes for the other half fail, and three new ones stand in line.
    for name in &stuck {
        let of = Matching { verb: Some("apply".into()), namespace: Some(format!("shoot--lab--{name}")), ..Matching::default() };
        fleet.sims[&seed()].faults().add(Rule::refuse(of, 422, ALWAYS));
    }
    let mut running = fleet.start_with(|settings| settings.creations = 0);
    let eight = |view: &espalier::daemon::View| view.owners.keys().filter(|owner| owner.kind == Kind::Shoot).count() == 8;
    running.until("all were looked at", eight).await;
    running.ready_at(&fleet.head().await).await;
    let worse = |name: &String| (path(name), Some(text(name).replace("eventTTL: 2h", "eventTTL: 3h")));
    let mut changes: Changes = reached.iter().chain(&stuck).map(worse).collect();
    changes.extend(fresh.iter().map(|name| (path(name), Some(text(name)))));
    let bad = fleet.commit(changes).await;
    let standing = |view: &espalier::daemon::View, names: &[String], wanted: Standing| {
        names.iter().all(|name| view.owners.get(&shoot(name)).is_some_and(|row| row.standing == wanted))
    };
    let in_line = |view: &espalier::daemon::View| {
        fresh.iter().all(|name| view.owners.get(&shoot(name)).is_some_and(|row| row.note.contains("its turn")))
    };
    running
        .until("in the middle", |view| {
            let reached_it = reached.iter().all(|name| view.counts.written_since_head.contains(&shoot(name)));
            view.revision.as_ref() == Some(&bad)
                && reached_it
                && standing(view, &reached, Standing::Ready)
                && standing(view, &stuck, Standing::Failed)
                && in_line(view)
        })
        .await;
    let worse = of_shoots(&fleet, &reached).await;
    let by_bad = written(&done, &worse);
    assert_eq!(by_bad.len(), reached.len(), "an API server for each: {by_bad:?}");
    assert!(written(&kept, &of_shoots(&fleet, &stuck).await).is_empty(), "none of the others was reached");

    fleet.sims[&seed()].faults().clear();
    let began = tokio::time::Instant::now();
    let writes = fleet.writes();
    let back = revert(&fleet, &bad).await;
    running.until("taken up", |view| view.revision.as_ref() == Some(&back) && view.counts.reverts == 1).await;
    let view = running.ready_at(&back).await;
    let took = began.elapsed();
    running.reported(&fleet, "the revert", |tree| tree["STATUS.md"].contains(&back.0)).await;
    let good = of_shoots(&fleet, &reached).await;
    let by_revert = written(&worse, &good);
    println!(
        "{} objects in the seed written by the bad commit, {} by its revert; {} requests that write; {} waits cancelled; converged in \
         {took:?}",
        by_bad.len(),
        by_revert.len(),
        fleet.writes() - writes,
        view.counts.waits_cancelled
    );
    assert_eq!(by_revert, by_bad, "what was changed is changed back");
    assert!(written(&kept, &of_shoots(&fleet, &stuck).await).is_empty(), "what was not is left alone");
    assert_eq!(view.counts.waits_cancelled, 7, "four that failed and three in line");
    assert_eq!(view.owners.keys().filter(|owner| owner.kind == Kind::Shoot).count(), 8, "the new ones were never begun");
    assert_eq!(trailers(&fleet, "Reverts").await.join(" "), bad.0);

    // Another commit is no revert any more; one after which all is as it was once is.
    let next = fleet.edit(path("a00").as_str(), "eventTTL: 2h", "eventTTL: 4h").await;
    running.until("taken up", |view| view.revision.as_ref() == Some(&next)).await;
    running.ready_at(&next).await;
    running.reported(&fleet, "the next", |tree| tree["STATUS.md"].contains(&next.0)).await;
    assert!(trailers(&fleet, "Reverts").await.is_empty() && trailers(&fleet, "Restores").await.is_empty());
    let undone = fleet.edit(path("a00").as_str(), "eventTTL: 4h", "eventTTL: 2h").await;
    running.until("known as one", |view| view.revision.as_ref() == Some(&undone) && view.counts.reverts == 2).await;
    running.ready_at(&undone).await;
    running.reported(&fleet, "that it is", |tree| tree["STATUS.md"].contains(&undone.0)).await;
    assert_eq!(trailers(&fleet, "Restores").await, [back.0]);

    // What failed for a change that is not wanted any more is not told, also where no revert says so.
    let of = Matching { verb: Some("apply".into()), namespace: Some("shoot--lab--a00".into()), ..Matching::default() };
    fleet.sims[&seed()].faults().add(Rule::refuse(of, 422, ALWAYS));
    fleet.edit(path("a00").as_str(), "eventTTL: 2h", "eventTTL: 5h").await;
    running.until("failed", |view| standing(view, &reached[..1], Standing::Failed)).await;
    fleet.sims[&seed()].faults().clear();
    let mended = fleet.edit(path("a00").as_str(), "eventTTL: 5h", "eventTTL: 2h # is enough").await;
    let view = running.ready_at(&mended).await;
    assert_eq!(view.counts.reverts, 2, "that was none");
    running.stop().await;
}

/// A project, and nothing in it.
fn project(name: &str, confirmed: bool) -> (RepoPath, Vec<u8>) {
    let text = example().remove("projects/lab/project.yaml").expect("a project");
    let text = String::from_utf8(text).expect("text").replace("garden-lab", &format!("garden-{name}"));
    let annotation = if confirmed { "\n  annotations:\n    confirmation.gardener.cloud/deletion: \"true\"\n" } else { "\n" };
    let text = text.replacen("  name: lab\n", &format!("  name: {name}{annotation}"), 1);
    (format!("projects/{name}/project.yaml").into(), text.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_deletes_200_files_is_held() {
    let (unconfirmed, confirmed) = (names("u", 98), names("c", 98));
    let shoots = names("s", 4);
    let mut files = bare();
    files.extend(unconfirmed.iter().map(|name| project(name, false)));
    files.extend(confirmed.iter().map(|name| project(name, true)));
    files.extend(shoots.iter().map(|name| (path(name), text(name).into_bytes())));
    let fleet = Fleet::of(files).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    let whole = running.ready_at(&fleet.head().await).await;
    let (before, writes) = (deletes(&fleet), fleet.writes());

    let gone =
        unconfirmed.iter().chain(&confirmed).map(|name| project(name, false).0).chain(shoots.iter().map(|name| path(name)));
    let changes: Changes = gone.map(|path| (path, None)).collect();
    assert_eq!(changes.len(), 200);
    let bad = fleet.commit(changes).await;
    let held = |tree: &BTreeMap<RepoPath, String>| tree.values().filter(|text| text.contains("\nstanding: held\n")).count();
    let tree = running.reported(&fleet, "the deletion", |tree| tree["STATUS.md"].contains(&bad.0) && held(tree) == 200).await;
    let view = running.seen.borrow().clone();
    assert_eq!(deletes(&fleet) - before, 0, "nothing is deleted");
    assert_eq!(view.owners.len(), whole.owners.len(), "all are there");
    let held = |owner: &Owner| view.owners.get(owner).is_some_and(|row| row.standing == Standing::Held);
    for name in unconfirmed.iter().chain(&confirmed) {
        assert!(
            held(&Owner::cluster(Kind::Project, name)),
            "{name}: {:?}",
            view.owners.get(&Owner::cluster(Kind::Project, name))
        );
    }
    assert!(shoots.iter().all(|name| held(&shoot(name))));
    // The status says how to go on.
    let file = |name: &str| {
        let wanted = format!("for: Project {name}\n");
        tree.values().find(|text| text.contains(&wanted)).unwrap_or_else(|| panic!("{name} has no file among {:?}", tree.keys()))
    };
    assert!(file("u00").contains("restore its file with the annotation"), "{}", file("u00"));
    assert!(file("c00").contains("the budget is 2") && file("c00").contains("delete fewer at once"), "{}", file("c00"));

    // Taken back, everything goes on as if nothing had been.
    let back = revert(&fleet, &bad).await;
    running.ready_at(&back).await;
    running.reported(&fleet, "the revert", |tree| tree["STATUS.md"].contains(&back.0)).await;
    println!(
        "200 files deleted: {} deletes, {} writes until after the revert",
        deletes(&fleet) - before,
        fleet.writes() - writes
    );
    assert_eq!(deletes(&fleet) - before, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renaming_the_folder_of_40_shoots_deletes_and_makes_nothing() {
    let all = names("s", 40);
    let mut files = bare();
    files.extend(all.iter().map(|name| (path(name), text(name).into_bytes())));
    let fleet = Fleet::of(files).await;
    fleet.credentials().await;
    let mut running = fleet.start().await;
    running.ready_at(&fleet.head().await).await;
    running.reported(&fleet, "all of them", |tree| tree.contains_key("projects/lab/shoots/s39.status.yaml")).await;
    let uids = |dump: &Dump| -> BTreeMap<String, String> {
        let uid = |value: &Value| value["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        dump.iter().map(|(name, value)| (name.clone(), uid(value))).collect()
    };
    let before = of_shoots(&fleet, &all).await;
    let (deleted, writes) = (deletes(&fleet), fleet.writes());

    let moved = |name: &String| RepoPath::from(format!("projects/lab/shoots/europe/{name}.yaml"));
    let changes: Changes = all.iter().flat_map(|name| [(path(name), None), (moved(name), Some(text(name)))]).collect();
    let rename = fleet.commit(changes).await;
    running
        .reported(&fleet, "their new places", |tree| {
            tree["STATUS.md"].contains(&rename.0)
                && tree.contains_key("projects/lab/shoots/europe/s39.status.yaml")
                && !tree.contains_key("projects/lab/shoots/s39.status.yaml")
        })
        .await;
    running.ready_at(&rename).await;
    let view = running.stop().await.view;
    let after = of_shoots(&fleet, &all).await;
    println!(
        "40 shoots in another folder: {} deletes, {} writes, {} owners evaluated, {} objects of theirs with another version",
        deletes(&fleet) - deleted,
        fleet.writes() - writes,
        view.counts.evaluated_since_head.len(),
        written(&before, &after).len()
    );
    assert_eq!(deletes(&fleet), deleted, "0 deletes");
    assert_eq!(uids(&before), uids(&after), "0 made anew");
    assert_eq!(view.counts.written_since_head, BTreeSet::new(), "nothing is written for them");
    let tip = fleet.repo.read_tree(STATUS).await.expect("reads");
    assert_eq!(tip.keys().filter(|path| path.as_str().contains("/shoots/europe/")).count(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_an_unreadable_and_a_rewound_tree_hold_everything_and_say_so() {
    let mut fleet = Fleet::local(&["api"]).await;
    let budget = espalier::git::Budget { entries: 200, ..espalier::git::Budget::default() };
    let location = espalier::git::Location::Path(fleet.dir.path().join("repo"));
    let (cache, credentials) = (fleet.dir.path().join("cache"), espalier::git::Credentials::default());
    fleet.repo = espalier::git::Repo::open_within(location, &cache, credentials, budget).await.expect("it opens");
    fleet.credentials().await;
    let mut running = fleet.start().await;
    let first = fleet.head().await;
    running.ready_at(&first).await;
    running.reported(&fleet, "that all is well", |tree| tree["STATUS.md"].contains(&first.0)).await;
    let before = deletes(&fleet);

    let files = fleet.repo.read_tree(BRANCH).await.expect("reads");
    let empty = fleet.commit(files.keys().map(|path| (path.clone(), None)).collect()).await;
    let view = running.until("told", |view| view.git_trouble.is_some()).await;
    assert_eq!(view.revision.as_ref(), Some(&first), "the last state is kept");
    running.reported(&fleet, "the emptied tree", |tree| tree["STATUS.md"].contains("there is no landscape.yaml")).await;
    let back = revert(&fleet, &empty).await;
    running.until("recovered", |view| view.git_trouble.is_none() && view.revision.as_ref() == Some(&back)).await;
    running.ready_at(&back).await;

    let many: Changes = (0..250).map(|i| (format!("docs/{i}.md").into(), Some(String::new()))).collect();
    let large = fleet.commit(many).await;
    let view = running.until("told", |view| view.git_trouble.is_some()).await;
    assert_eq!(view.revision.as_ref(), Some(&back), "the last state is kept");
    running.reported(&fleet, "the large tree", |tree| tree["STATUS.md"].contains("too large")).await;
    let back = revert(&fleet, &large).await;
    running.until("recovered", |view| view.git_trouble.is_none() && view.revision.as_ref() == Some(&back)).await;

    let raw = git2::Repository::open(fleet.dir.path().join("repo")).expect("it opens");
    let id = |revision: &Revision| git2::Oid::from_str(&revision.0).expect("an id");
    raw.reference(BRANCH, id(&first), true, "reset").expect("written");
    let view = running.until("told", |view| view.git_trouble.as_ref().is_some_and(|t| t.contains("by 4 commits"))).await;
    assert_eq!(view.revision.as_ref(), Some(&back), "the last state is kept");
    running.reported(&fleet, "the reset", |tree| tree["STATUS.md"].contains("was moved back")).await;
    raw.reference(BRANCH, id(&back), true, "back").expect("written");
    running.until("recovered", |view| view.git_trouble.is_none()).await;
    assert_eq!(deletes(&fleet), before, "nothing is deleted in all of this");
    running.stop().await;
}
