//! A plan for people: a tree of 80 columns, each change with its place, its cost and what taking it back would do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Change, Consequence, Fate, Item, Preview, SetBy, Touch, live};
use crate::landscape::Target;
use crate::observed::ObjectKey;
use crate::plan::impact::{Certainty, Impact, Mark, Pool};
use crate::plan::revert::Revert;
use crate::plan::when::When;
use crate::print::origin::Origin;
use crate::print::{snippet, table::count};

/// The tree; with every manifest that is rendered otherwise, or with the components and a few of them.
#[must_use]
pub fn text(preview: &Preview, all_objects: bool) -> String {
    let mut out = format!("Plan  {}  {} → {}", preview.landscape, preview.from, preview.to);
    if preview.commits > 0 {
        out.push_str(&format!("  ({}: {})", count(preview.commits, "commit"), preview.authors.join(", ")));
    }
    match &preview.live {
        Some(live) => out.push_str(&format!("  live data of {}\n", live.at)),
        None => out.push_str("  offline\n"),
    }
    if let Some(commit) = &preview.placements {
        out.push_str(&format!("Placements as of status commit {commit}\n"));
    }
    for finding in &preview.troubles {
        out.push_str(&format!("\n{}\n", snippet::headline(finding)));
    }
    for breach in &preview.breaches {
        out.push_str(&format!("\n✗ {}: {}\n    {}\n", breach.guard, breach.message, breach.help));
    }
    for note in &preview.notes {
        out.push_str(&format!("\n{}\n", snippet::headline(note)));
    }
    let projects: BTreeSet<&str> = preview.items.iter().map(|item| item.owner.project.as_str()).collect();
    for project in projects {
        let items: Vec<&Item> = preview.items.iter().filter(|item| item.owner.project == project).collect();
        out.push_str(&format!("\n{}\n", if project.is_empty() { preview.landscape.as_str() } else { project }));
        for (i, item) in items.iter().enumerate() {
            branch(&mut out, item, i + 1 == items.len(), all_objects, preview.at(), live::leaf(preview, item));
        }
    }
    if preview.is_empty() {
        out.push_str(&format!("\nNo changes: {} as they were.\n", count(preview.unchanged, "object")));
        live::tail(&mut out, preview);
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
        "\nRendered anew: {}, {} touched · {} unchanged\n",
        count(owners, "owner"),
        count(objects, "manifest"),
        count(preview.unchanged, "object")
    ));
    if preview.worst() > Mark::None {
        out.push_str(&format!("Worst mark: {}", preview.worst().word()));
        let (least, most, clusters) = preview.replaced();
        if clusters > 0 {
            out.push_str(&format!(" · nodes replaced: {} of {}", range(least, most), count(clusters, "cluster")));
        }
        out.push('\n');
    }
    if preview.waiting() > 0 {
        out.push_str(&format!("Waiting for a maintenance window: {}\n", count(preview.waiting(), "object")));
    }
    reverts(&mut out, preview);
    live::tail(&mut out, preview);
    out
}

/// `3–10`, or `3`.
pub(crate) fn range(least: i64, most: i64) -> String {
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

/// One line for each object: what becomes of it, its marks, what taking it back would do.
#[must_use]
pub fn brief(preview: &Preview) -> String {
    let mut out = String::new();
    for item in &preview.items {
        let mut marks: Vec<&str> = item.marks().into_iter().rev().map(Mark::word).collect();
        if marks.is_empty() {
            marks.push(item.worst().word());
        }
        let revert = item.revert.as_ref().map_or_else(String::new, |revert| format!("  revert {}", revert.word()));
        let line = format!("{} {:9} {:32} {}{revert}", item.fate.mark(), item.fate.word(), item.owner.label(), marks.join(", "));
        out.push_str(&format!("{}\n", line.trim_end()));
    }
    out
}

/// Who set both values, a line for each.
fn setters(set: &SetBy) -> Vec<String> {
    let line = |what: &str, origin: &Option<Origin>| origin.as_ref().map(|origin| format!("{what}: {}", origin.text()));
    [line("old", &set.before), line("new", &set.after)].into_iter().flatten().collect()
}

/// What a change costs, a line for each mark, with the pools below.
fn costs(change: &Change) -> Vec<String> {
    if change.idle {
        return vec!["  nobody acts upon this yet".to_owned()];
    }
    told(&change.impact)
}

fn told(impact: &[Impact]) -> Vec<String> {
    let mut lines = Vec::new();
    for impact in impact.iter().filter(|impact| impact.mark > Mark::None) {
        let sign = if impact.mark.warns() { "⚠ " } else { "" };
        let likely = if impact.certainty == Certainty::Likely { " (likely)" } else { "" };
        lines.push(format!("  {sign}{}{likely}: {}", impact.mark.word(), impact.why));
        if matches!(impact.mark, Mark::RollsNodes | Mark::InPlaceNodes | Mark::Recreates) {
            lines.extend(impact.pools.iter().map(|pool| format!("      {}", nodes(pool))));
        }
    }
    lines
}

/// `cpu: 3–10 nodes, surge 1, unavailable 0`; as counted: `cpu: 9 nodes now, of 3–10, …`.
pub(super) fn nodes(pool: &Pool) -> String {
    let bounds = range(pool.minimum, pool.maximum);
    let unit = |n: i64| if n == 1 { "node" } else { "nodes" };
    let nodes = match pool.nodes {
        Some(n) => format!("{n} {} now, of {bounds}", unit(n)),
        None => format!("{bounds} {}", unit(pool.maximum)),
    };
    format!("{}: {nodes}, surge {}, unavailable {}", pool.name, pool.max_surge, pool.max_unavailable)
}

/// When it is rolled out, and why not at once.
fn when(when: When, now: i64) -> Vec<String> {
    let mut leaf = vec![format!("when: {when}")];
    match when {
        When::Now => {}
        When::Window(span) => {
            leaf.push(format!("its {span}, {}", span.relative(now)));
            leaf.push("what is begun in it may go on after it".to_owned());
        }
        When::NextReconcile => leaf.push("Gardener takes it up when it next reconciles the shoot".to_owned()),
    }
    leaf
}

fn branch(out: &mut String, item: &Item, last: bool, all_objects: bool, now: i64, live: Option<String>) {
    let (knee, bar) = if last { ("└─", "   ") } else { ("├─", "│  ") };
    let name = format!("{} {} {}", item.fate.mark(), item.owner.kind, item.owner.name);
    out.push_str(&format!("{}\n", format!("{knee} {name:28}  {}", item.about).trim_end()));
    let mut leaves: Vec<Vec<String>> = live.into_iter().map(|line| vec![line]).collect();
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
        Fate::Blocked(why) => {
            let mut lines = why.split("; ").map(str::to_owned);
            let first = lines.next().unwrap_or_default();
            leaves.push([format!("✗ blocked: {first}")].into_iter().chain(lines).collect());
        }
        Fate::Unchanged => {
            let mut leaf = vec!["as it was in Git; what it is rendered from changed".to_owned()];
            leaf.extend(told(&item.effects));
            leaves.push(leaf);
        }
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
        leaf.extend(change.set.iter().flat_map(setters));
        leaf.extend(costs(change));
        leaves.push(leaf);
    }
    if (item.worst() > Mark::None || item.when != When::Now) && matches!(item.fate, Fate::Updated | Fate::Unchanged) {
        leaves.push(when(item.when, now));
    }
    let revert = match &item.revert {
        Some(Revert::Refused { why }) => format!("refused: {}", why.first().map_or("", String::as_str)),
        Some(Revert::Costs { mark }) => format!("costs {} again", mark.word()),
        Some(Revert::Deletes) => "deletes what is made now".to_owned(),
        Some(Revert::NotARestore) => "not a restore: what comes back is new and empty".to_owned(),
        Some(Revert::Clean) | None => String::new(),
    };
    if !revert.is_empty() {
        leaves.push(vec![format!("revert: {revert}")]);
    }
    match &item.consequence {
        Consequence::None => {}
        Consequence::Unknown(why) => leaves.push(vec![format!("? cannot be rendered: {why}")]),
        Consequence::Rendered(components) if all_objects => leaves.push(listed(components)),
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

/// Every manifest that is rendered otherwise, below its component and cluster.
fn listed(components: &BTreeMap<(String, Target), BTreeMap<ObjectKey, Touch>>) -> Vec<String> {
    let objects: usize = components.values().map(BTreeMap::len).sum();
    let names: BTreeSet<&str> = components.keys().map(|(name, _)| name.as_str()).collect();
    let mut lines = vec![format!("{}, {} rendered otherwise", count(names.len(), "component"), count(objects, "manifest"))];
    for ((name, target), objects) in components {
        lines.push(format!("{name} in {target}:"));
        lines.extend(objects.iter().map(|(key, touch)| {
            let namespace = if key.namespace.is_empty() { String::new() } else { format!("{}/", key.namespace) };
            format!("   {} {} {namespace}{}", touch.mark(), key.kind, key.name)
        }));
    }
    lines
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
pub(in crate::print) fn shown(value: Option<&Value>) -> String {
    const MAX: usize = 48;
    let text = match value {
        None => "(absent)".to_owned(),
        Some(Value::String(text)) => text.escape_debug().to_string(),
        Some(Value::Object(pool)) if pool.contains_key("machine") => {
            let number = |key: &str| pool.get(key).and_then(Value::as_i64).unwrap_or_default();
            let machine = pool["machine"].get("type").and_then(Value::as_str).unwrap_or_default();
            format!("{} × {}", range(number("minimum"), number("maximum")), machine.escape_debug())
        }
        Some(value) => value.to_string(),
    };
    if text.chars().count() <= MAX { text } else { text.chars().take(MAX - 1).chain(['…']).collect() }
}
