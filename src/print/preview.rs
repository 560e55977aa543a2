//! A plan between two revisions, for people as a tree of 80 columns and for machines as JSON; both from the same values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::table::count;
use crate::finding::Finding;
use crate::landscape::{Kind, Owner, Target};
use crate::observed::ObjectKey;
use crate::plan::diff::Field;
use crate::plan::impact::{Certainty, Impact, Mark, Pool};
use crate::plan::revert::Revert;

/// What one revision changes against another.
#[derive(Debug)]
pub struct Preview {
    /// The landscape's name.
    pub landscape: String,
    /// The revision before.
    pub from: String,
    /// The revision after.
    pub to: String,
    /// How many commits lie between them.
    pub commits: usize,
    /// Who made them.
    pub authors: Vec<String>,
    /// The status commit that says where shoots are; `None` if there is none.
    pub placements: Option<String>,
    /// What changes, in the order of owners.
    pub items: Vec<Item>,
    /// How many objects stay as they are.
    pub unchanged: usize,
    /// Errors that belong to no object.
    pub troubles: Vec<Finding>,
    /// The time that was judged at.
    pub now: String,
}

/// One object of the landscape.
#[derive(Debug)]
pub struct Item {
    /// Which.
    pub owner: Owner,
    /// What becomes of it.
    pub fate: Fate,
    /// What it is, in a few words.
    pub about: String,
    /// Where it is written.
    pub path: Option<String>,
    /// The changed fields.
    pub changes: Vec<Change>,
    /// Whether it asks for its changes to wait for its maintenance window, which nobody does yet.
    pub confined: bool,
    /// What taking the change back would do; `None` where nothing is done.
    pub revert: Option<Revert>,
    /// What follows for clusters.
    pub consequence: Consequence,
}

/// A changed field.
#[derive(Debug)]
pub struct Change {
    /// Which, before and after.
    pub field: Field,
    /// Where the new value is written down, if it is.
    pub place: Option<String>,
    /// What it costs, worst first.
    pub impact: Vec<Impact>,
    /// Whether nobody acts upon it yet, so that it costs nothing.
    pub idle: bool,
}

/// What becomes of an object of the landscape.
#[derive(Debug)]
pub enum Fate {
    /// It is new.
    Created,
    /// It differs.
    Updated,
    /// It goes.
    Deleted,
    /// It has errors and stays as it was accepted.
    Held(Vec<Finding>),
    /// It is gone from Git and stays: why.
    Blocked(String),
    /// It is as it was.
    Unchanged,
}

/// What follows for the clusters.
#[derive(Debug)]
pub enum Consequence {
    /// Nothing.
    None,
    /// It cannot be told: why.
    Unknown(String),
    /// Objects by component and cluster.
    Rendered(BTreeMap<(String, Target), BTreeMap<ObjectKey, Touch>>),
}

/// What happens to a rendered object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It is new.
    Added,
    /// Its content differs.
    Changed,
    /// It goes.
    Removed,
}

impl Touch {
    const fn mark(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Added => "create",
            Self::Changed => "update",
            Self::Removed => "delete",
        }
    }
}

impl Fate {
    const fn word(&self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Updated => "update",
            Self::Deleted => "delete",
            Self::Held(_) => "held",
            Self::Blocked(_) => "blocked",
            Self::Unchanged => "unchanged",
        }
    }

    const fn mark(&self) -> char {
        match self {
            Self::Created => '+',
            Self::Updated | Self::Unchanged => '~',
            Self::Deleted | Self::Blocked(_) => '-',
            Self::Held(_) => '!',
        }
    }
}

impl Item {
    /// Whether there is nothing to say about it.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!((&self.fate, &self.consequence), (Fate::Unchanged, Consequence::None))
    }

    /// What its changes cost that somebody acts upon.
    fn impact(&self) -> impl Iterator<Item = &Impact> {
        self.changes.iter().filter(|change| !change.idle).flat_map(|change| &change.impact)
    }

    /// The worst that happens to it.
    fn worst(&self) -> Mark {
        let refused = |finding: &Finding| finding.cause.is_some();
        match &self.fate {
            Fate::Held(findings) if findings.iter().any(refused) => Mark::Forbidden,
            Fate::Deleted if matches!(self.owner.kind, Kind::Shoot | Kind::Seed | Kind::Project) => Mark::Deletes,
            Fate::Updated => self.impact().map(|impact| impact.mark).max().unwrap_or(Mark::None),
            _ => Mark::None,
        }
    }

    /// The pools whose nodes are replaced or drained together, each once.
    fn replaced(&self) -> Vec<&Pool> {
        let all = self.impact().filter(|impact| matches!(impact.mark, Mark::RollsNodes | Mark::Recreates));
        let mut pools: Vec<&Pool> = all.flat_map(|impact| &impact.pools).collect();
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        pools.dedup_by(|a, b| a.name == b.name);
        pools
    }
}

impl Preview {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.troubles.is_empty()
    }

    /// Whether something is refused or blocked.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.troubles.is_empty() || self.items.iter().any(|i| matches!(i.fate, Fate::Held(_) | Fate::Blocked(_)))
    }

    /// The worst that happens to anything.
    #[must_use]
    pub fn worst(&self) -> Mark {
        self.items.iter().map(Item::worst).max().unwrap_or(Mark::None)
    }

    /// How many nodes are replaced at least and at most, and of how many clusters.
    fn replaced(&self) -> (i64, i64, usize) {
        let clusters = self.items.iter().map(Item::replaced).filter(|pools| !pools.is_empty());
        let sum = |pools: &[&Pool], of: fn(&Pool) -> i64| pools.iter().map(|pool| of(pool)).sum::<i64>();
        clusters.fold((0, 0, 0), |(least, most, n), pools| {
            (least + sum(&pools, |p| p.minimum), most + sum(&pools, |p| p.maximum), n + 1)
        })
    }

    fn counted(&self, word: &str) -> usize {
        self.items.iter().filter(|item| item.fate.word() == word).count()
    }

    /// How many owners re-render, and how many of their objects are touched.
    fn rendered(&self) -> (usize, usize) {
        let touched = self.items.iter().filter_map(|item| match &item.consequence {
            Consequence::Rendered(components) => Some(components.values().map(BTreeMap::len).sum::<usize>()),
            Consequence::None | Consequence::Unknown(_) => None,
        });
        touched.fold((0, 0), |(owners, objects), n| (owners + 1, objects + n))
    }
}

/// The tree.
#[must_use]
pub fn text(preview: &Preview) -> String {
    let mut out = format!("Plan  {}  {} → {}", preview.landscape, preview.from, preview.to);
    if preview.commits > 0 {
        out.push_str(&format!("  ({}: {})", count(preview.commits, "commit"), preview.authors.join(", ")));
    }
    out.push_str("  offline\n");
    if let Some(commit) = &preview.placements {
        out.push_str(&format!("Placements as of status commit {commit}\n"));
    }
    for finding in &preview.troubles {
        out.push_str(&format!("\n{}\n", super::snippet::headline(finding)));
    }
    let projects: BTreeSet<&str> = preview.items.iter().map(|item| item.owner.project.as_str()).collect();
    for project in projects {
        let items: Vec<&Item> = preview.items.iter().filter(|item| item.owner.project == project).collect();
        out.push_str(&format!("\n{}\n", if project.is_empty() { preview.landscape.as_str() } else { project }));
        for (i, item) in items.iter().enumerate() {
            branch(&mut out, item, i + 1 == items.len());
        }
    }
    if preview.is_empty() {
        out.push_str(&format!("\nNo changes: {} as they were.\n", count(preview.unchanged, "object")));
        return out;
    }
    let n = |word| preview.counted(word);
    out.push_str(&format!("\nSummary: {} create, {} update, {} delete", n("create"), n("update"), n("delete")));
    for word in ["blocked", "held"] {
        if n(word) > 0 {
            out.push_str(&format!(", {} {word}", n(word)));
        }
    }
    let (owners, objects) = preview.rendered();
    out.push_str(&format!(
        " · {} rendered anew, {} touched · {} unchanged\n",
        count(owners, "owner"),
        count(objects, "manifest"),
        preview.unchanged
    ));
    if preview.worst() > Mark::None {
        out.push_str(&format!("Worst mark: {}", preview.worst().word()));
        let (least, most, clusters) = preview.replaced();
        if clusters > 0 {
            out.push_str(&format!(" · nodes replaced: {} of {}", range(least, most), count(clusters, "cluster")));
        }
        out.push('\n');
    }
    reverts(&mut out, preview);
    out
}

/// `3–10`, or `3`.
fn range(least: i64, most: i64) -> String {
    if least == most { least.to_string() } else { format!("{least}–{most}") }
}

/// What a revert would do, by verdict: the names of few, the number of many.
fn reverts(out: &mut String, preview: &Preview) {
    const NAMED: usize = 3;
    let mut verdicts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for item in &preview.items {
        if let Some(revert) = &item.revert {
            verdicts.entry(revert.word()).or_default().push(item.owner.key());
        }
    }
    if verdicts.is_empty() {
        return;
    }
    let words = verdicts.into_iter().map(|(word, names)| {
        let more = names.len().saturating_sub(NAMED);
        let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        match (word, more) {
            ("clean", _) => format!("{} clean", names.len()),
            (_, 0) => format!("{} {word} ({named})", names.len()),
            (_, more) => format!("{} {word} ({named} and {more} more)", names.len()),
        }
    });
    out.push_str(&format!("Revert afterwards: {}\n", words.collect::<Vec<_>>().join(" · ")));
}

/// What a change costs, a line for each mark, with the pools below.
fn costs(change: &Change) -> Vec<String> {
    if change.idle {
        return vec!["  nobody acts upon this yet".to_owned()];
    }
    let mut lines = Vec::new();
    for impact in change.impact.iter().filter(|impact| impact.mark > Mark::None) {
        let sign = if impact.mark.warns() { "⚠ " } else { "" };
        let likely = if impact.certainty == Certainty::Likely { " (likely)" } else { "" };
        lines.push(format!("  {sign}{}{likely}: {}", impact.mark.word(), impact.why));
        if matches!(impact.mark, Mark::RollsNodes | Mark::InPlaceNodes | Mark::Recreates) {
            lines.extend(impact.pools.iter().map(|pool| format!("      {}", nodes(pool))));
        }
    }
    lines
}

/// `cpu: 3–10 nodes, surge 1, unavailable 0`.
fn nodes(pool: &Pool) -> String {
    let unit = if pool.maximum == 1 { "node" } else { "nodes" };
    format!(
        "{}: {} {unit}, surge {}, unavailable {}",
        pool.name,
        range(pool.minimum, pool.maximum),
        pool.max_surge,
        pool.max_unavailable
    )
}

fn branch(out: &mut String, item: &Item, last: bool) {
    let (knee, bar) = if last { ("└─", "   ") } else { ("├─", "│  ") };
    let name = format!("{} {} {}", item.fate.mark(), item.owner.kind, item.owner.name);
    out.push_str(&format!("{}\n", format!("{knee} {name:28}  {}", item.about).trim_end()));
    let mut leaves: Vec<Vec<String>> = Vec::new();
    match &item.fate {
        Fate::Held(findings) => {
            for finding in findings {
                let at = finding.places.first().map_or_else(String::new, |p| format!("{p}: "));
                let word = if finding.cause.is_some() { "forbidden" } else { "held" };
                let mut leaf = vec![format!("✗ {word}: {} [{}]", finding.message, finding.code)];
                if !at.is_empty() {
                    leaf.push(at.trim_end_matches(": ").to_owned());
                }
                leaves.push(leaf);
            }
        }
        Fate::Blocked(why) => leaves.push(vec![format!("✗ blocked: {why}")]),
        Fate::Unchanged => leaves.push(vec!["as it was in Git; what it is rendered from changed".to_owned()]),
        Fate::Created | Fate::Updated | Fate::Deleted => {}
    }
    for change in &item.changes {
        let Change { field, place, .. } = change;
        let mark = match (&field.before, &field.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        let values = match (&field.before, &field.after) {
            (None, after) => shown(after.as_ref()),
            (before, None) => shown(before.as_ref()),
            (before, after) => format!("{} → {}", shown(before.as_ref()), shown(after.as_ref())),
        };
        let mut leaf = vec![format!("{mark} {:36} {values}", field.name)];
        leaf.extend(place.clone());
        leaf.extend(costs(change));
        leaves.push(leaf);
    }
    if item.worst() > Mark::None && matches!(item.fate, Fate::Updated) {
        let mut leaf = vec!["when: @now".to_owned()];
        if item.confined {
            leaf.push("it asks to wait for its maintenance window, which nobody does yet".to_owned());
        }
        leaves.push(leaf);
    }
    match &item.revert {
        Some(Revert::Refused { why }) => {
            leaves.push(vec![format!("revert: refused: {}", why.first().map_or("", String::as_str))])
        }
        Some(Revert::Costs { mark }) => leaves.push(vec![format!("revert: costs {} again", mark.word())]),
        Some(Revert::Deletes) => leaves.push(vec!["revert: deletes what is made now".to_owned()]),
        Some(Revert::NotARestore) => leaves.push(vec!["revert: not a restore: what comes back is new and empty".to_owned()]),
        Some(Revert::Clean) | None => {}
    }
    match &item.consequence {
        Consequence::None => {}
        Consequence::Unknown(why) => leaves.push(vec![format!("? cannot be rendered: {why}")]),
        Consequence::Rendered(components) => leaves.push(rendered(&item.fate, components)),
    }
    for (i, leaf) in leaves.iter().enumerate() {
        let (knee, below) = if i + 1 == leaves.len() { ("└─", "   ") } else { ("├─", "│  ") };
        for (j, line) in leaf.iter().enumerate() {
            let lead = if j == 0 { format!("{bar}{knee} ") } else { format!("{bar}{below}   ") };
            out.push_str(&format!("{}\n", format!("{lead}{line}").trim_end()));
        }
    }
}

/// The components that are rendered otherwise, with their objects; in short where all of them are new or go.
fn rendered(fate: &Fate, components: &BTreeMap<(String, Target), BTreeMap<ObjectKey, Touch>>) -> Vec<String> {
    let objects: usize = components.values().map(BTreeMap::len).sum();
    let names: BTreeSet<&str> = components.keys().map(|(name, _)| name.as_str()).collect();
    let sum = format!("{}, {}", count(names.len(), "component"), count(objects, "manifest"));
    if matches!(fate, Fate::Created | Fate::Deleted) {
        return vec![format!("{} {sum}", fate.mark())];
    }
    let mut lines = vec![format!("{sum} rendered otherwise")];
    for ((name, _), objects) in components {
        let mut line = format!("{name}:");
        for word in folded(objects) {
            if line.chars().count() + word.chars().count() > 70 {
                lines.push(std::mem::replace(&mut line, "   ".to_owned()));
            }
            line.push_str(&format!(" {word}"));
        }
        lines.push(line);
    }
    lines
}

/// `~Deployment/kube-apiserver`, `-Secret ×8`; an object whose name carries a hash of its content is one object that changed.
fn folded(objects: &BTreeMap<ObjectKey, Touch>) -> Vec<String> {
    const NAMED: usize = 2;
    let mut stems: BTreeMap<(&str, String), BTreeSet<char>> = BTreeMap::new();
    for (key, touch) in objects {
        let is_hash = |text: &str| text.len() == 8 && text.chars().all(|c| c.is_ascii_hexdigit());
        let stem = key.name.rsplit_once('-').filter(|(_, hash)| is_hash(hash));
        let name = stem.map_or_else(|| key.name.clone(), |(stem, _)| format!("{stem}-*"));
        stems.entry((key.kind.as_str(), name)).or_default().insert(touch.mark());
    }
    let mut groups: BTreeMap<(&str, char), Vec<String>> = BTreeMap::new();
    for ((kind, name), marks) in stems {
        let mark = if marks.len() == 1 { marks.first().copied().unwrap_or('~') } else { '~' };
        groups.entry((kind, mark)).or_default().push(name);
    }
    let words = groups.into_iter().flat_map(|((kind, mark), names)| {
        if names.len() > NAMED {
            vec![format!("{mark}{kind} ×{}", names.len())]
        } else {
            names.into_iter().map(|name| format!("{mark}{kind}/{name}")).collect()
        }
    });
    words.collect()
}

/// A value in a few characters.
fn shown(value: Option<&Value>) -> String {
    const MAX: usize = 48;
    let text = match value {
        None => "(absent)".to_owned(),
        Some(Value::String(text)) => text.escape_debug().to_string(),
        Some(value) => value.to_string(),
    };
    if text.chars().count() <= MAX { text } else { text.chars().take(MAX - 1).chain(['…']).collect() }
}

/// The plan as a machine reads it, without the envelope.
#[must_use]
pub fn json(preview: &Preview) -> Value {
    let items: Vec<Value> = preview.items.iter().map(item).collect();
    let (owners, objects) = preview.rendered();
    let (least, most, clusters) = preview.replaced();
    let n = |word| preview.counted(word);
    json!({
        "landscape": preview.landscape,
        "from": preview.from,
        "to": preview.to,
        "now": preview.now,
        "commits": preview.commits,
        "placements": preview.placements,
        "objects": items,
        "findings": preview.troubles,
        "summary": {
            "create": n("create"), "update": n("update"), "delete": n("delete"), "blocked": n("blocked"), "held": n("held"),
            "unchanged": preview.unchanged, "rendered": owners, "manifests": objects,
            "worst": preview.worst(), "replaced": { "minimum": least, "maximum": most, "clusters": clusters },
        },
    })
}

fn item(item: &Item) -> Value {
    let changes: Vec<Value> = item
        .changes
        .iter()
        .map(|Change { field, place, impact, idle }| {
            json!({
                "field": field.name, "pointer": field.pointer, "before": field.before, "after": field.after, "at": place,
                "impact": impact, "idle": idle,
            })
        })
        .collect();
    let mut out = json!({
        "owner": item.owner, "action": item.fate.word(), "path": item.path, "changes": changes,
        "worst": item.worst(), "when": "now", "revert": item.revert,
    });
    match &item.fate {
        Fate::Held(findings) => out["findings"] = json!(findings),
        Fate::Blocked(why) => out["why"] = json!(why),
        Fate::Created | Fate::Updated | Fate::Deleted | Fate::Unchanged => {}
    }
    match &item.consequence {
        Consequence::None => {}
        Consequence::Unknown(why) => out["unknown"] = json!(why),
        Consequence::Rendered(components) => {
            let list: Vec<Value> = components
                .iter()
                .map(|((name, target), objects)| {
                    let objects: Vec<Value> = objects
                        .iter()
                        .map(|(key, touch)| {
                            json!({ "action": touch.word(), "group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name })
                        })
                        .collect();
                    json!({ "component": name, "target": target.to_string(), "manifests": objects })
                })
                .collect();
            out["components"] = list.into();
        }
    }
    out
}
