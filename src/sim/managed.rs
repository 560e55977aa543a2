//! Who owns which field: `metadata.managedFields`, kept up to date by every write, and server-side apply on top of it.

use serde_json::{Map, Value, json};

use super::decode;
use super::error::{ApiError, Cause};
use super::fields::Set;
use super::kind::{Kind, Version};
use super::merge;
use super::rules::whole_metadata;
use super::shape::Shape;
use super::verbs::Caller;

/// Who owns what was written before anybody applied.
const FIRST: &str = "before-first-apply";
/// The manager that may take over what it applied on its own side.
const KUBECTL: &str = "kubectl";
/// Where kubectl notes what it applied on its own side.
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// One manager's share of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    manager: String,
    apply: bool,
    api_version: String,
    subresource: String,
    time: String,
    fields: Set,
}

impl Entry {
    fn parse(value: &Value) -> Option<Self> {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let apply = match text("operation").as_str() {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        Some(Self {
            manager: text("manager"),
            apply,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: Set::parse(value.get("fieldsV1").unwrap_or(&Value::Null)),
        })
    }

    fn to_value(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_value(),
        });
        // Whoever applied what was already so has done nothing yet.
        if !self.time.is_empty() {
            entry["time"] = self.time.clone().into();
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.clone().into();
        }
        entry
    }

    /// Whether this is the entry of that manager; appliers are the same whatever version they apply.
    fn is(&self, manager: &str, apply: bool, api_version: &str, subresource: &str) -> bool {
        self.manager == manager
            && self.apply == apply
            && self.subresource == subresource
            && (apply || self.api_version == api_version)
    }

    /// What conflicts are sorted by.
    fn identifier(&self) -> String {
        let operation = if self.apply { "Apply" } else { "Update" };
        let mut text = format!("{{\"manager\":{:?},\"operation\":{operation:?}", self.manager);
        if !self.apply {
            text.push_str(&format!(",\"apiVersion\":{:?}", self.api_version));
        }
        if !self.subresource.is_empty() {
            text.push_str(&format!(",\"subresource\":{:?}", self.subresource));
        }
        text.push('}');
        text
    }

    fn describe(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.apply {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

fn parse(object: &Value) -> Vec<Entry> {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut entries: Vec<Entry> = Vec::new();
    for entry in list.into_iter().flatten().filter_map(Entry::parse) {
        // Of two entries of one manager the last one counts.
        entries.retain(|other| !other.is(&entry.manager, entry.apply, &entry.api_version, &entry.subresource));
        entries.push(entry);
    }
    entries
}

fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let key = |e: &Entry| (!e.apply, e.time.clone(), e.manager.clone(), e.api_version.clone(), e.subresource.clone());
        key(a).cmp(&key(b))
    });
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if entries.is_empty() {
            meta.remove("managedFields");
        } else {
            meta.insert("managedFields".into(), entries.iter().map(Entry::to_value).collect());
        }
    }
}

/// An object without what nobody can own: identity, and what the server writes itself.
fn ownable(object: &Value) -> Value {
    let mut map = Map::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                let mut meta = Map::new();
                for (key, value) in value.as_object().into_iter().flatten() {
                    let system = matches!(
                        key.as_str(),
                        "name"
                            | "namespace"
                            | "creationTimestamp"
                            | "selfLink"
                            | "uid"
                            | "generation"
                            | "managedFields"
                            | "resourceVersion"
                    );
                    if !system {
                        meta.insert(key.clone(), value.clone());
                    }
                }
                if !meta.is_empty() {
                    map.insert("metadata".into(), Value::Object(meta));
                }
            }
            _ => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(map)
}

/// The parts of a set that a request through this door can own.
fn restrict(set: &mut Set, kind: &Kind, at: &Version, subresource: &str) {
    match subresource {
        "status" if !whole_metadata(kind) => {
            set.children.retain(|element, _| matches!(&**element, "f:status" | "f:metadata"));
            if kind.kind == "Deployment" {
                set.cut(&["f:metadata", "f:labels"]);
            }
        }
        "status" => set.children.retain(|element, _| &**element == "f:status"),
        _ if at.status => set.cut(&["f:status"]),
        _ => {}
    }
}

/// Brings managedFields up to date after an update or a patch: whoever changed a field owns it, and nobody else does.
pub(crate) fn after_update(kind: &Kind, at: &Version, old: Option<&Value>, new: &mut Value, caller: &Caller, subresource: &str) {
    let sent = new.pointer("/metadata/managedFields").and_then(Value::as_array);
    // An empty list of a custom kind is as good as none.
    let reset = sent.is_some_and(|list| old.is_some() && ((list.is_empty() && !kind.custom) || list == &[json!({})]));
    let before = old.map(parse).unwrap_or_default();
    if subresource == "scale" {
        scale(kind, at, old, new, caller);
        return;
    }
    if reset {
        write(new, Vec::new());
        return;
    }
    let mut entries = parse(new);
    if entries.is_empty() {
        entries = before;
    }
    if entries.is_empty() && old.is_some() {
        // Nobody owned anything so far; who does is only noted from the first apply on.
        write(new, entries);
        return;
    }
    let shape = Shape::root(kind.structure(at));
    let empty = json!({});
    let was = old.map_or_else(|| empty.clone(), ownable);
    let is = ownable(new);
    let mut changes = merge::compare(&was, &is, shape);
    for set in [&mut changes.added, &mut changes.modified, &mut changes.removed] {
        restrict(set, kind, at, subresource);
        set.member = false;
    }
    let mut gained = changes.modified;
    gained.union(&changes.added);
    if gained.is_empty() && changes.removed.is_empty() {
        write(new, entries);
        return;
    }
    let api_version = kind.api_version(&at.name);
    let mine = entries.iter().position(|e| e.is(&caller.manager, false, &api_version, subresource));
    for (index, entry) in entries.iter_mut().enumerate() {
        if Some(index) != mine {
            entry.fields.subtract(&gained);
        }
        entry.fields.subtract(&changes.removed);
    }
    if let Some(entry) = mine.and_then(|index| entries.get_mut(index)) {
        entry.fields.union(&gained);
        entry.time.clone_from(&caller.now);
    } else {
        entries.push(Entry {
            manager: caller.manager.clone(),
            apply: false,
            api_version,
            subresource: subresource.to_owned(),
            time: caller.now.clone(),
            fields: gained,
        });
    }
    write(new, entries);
}

/// Brings managedFields up to date after a request to the scale subresource. Whoever owns the number is noted apart and without
/// a time, and nobody is if nobody was before.
fn scale(kind: &Kind, at: &Version, old: Option<&Value>, new: &mut Value, caller: &Caller) {
    let (Some(old), Some(paths)) = (old, at.scale.as_ref()) else { return };
    let path: Vec<String> = paths.spec.split('.').filter(|part| !part.is_empty()).map(|part| format!("f:{part}")).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let number = |object: &Value| super::table::select(object, &paths.spec).first().and_then(|count| count.as_i64());
    let (before, after) = (number(old).unwrap_or(0), number(new).unwrap_or(0));
    let only = path.iter().rev().fold(Set::leaf(), |below, element| {
        let mut set = Set::default();
        set.insert((*element).to_owned(), below);
        set
    });
    let mut entries = parse(old);
    let (mut holders, mut tracked) = (Vec::new(), caller.scales);
    for entry in &mut entries {
        if !entry.fields.intersection(&only).is_empty() {
            tracked = true;
            // Appliers keep what they have as long as nobody changes it.
            if entry.apply && entry.subresource.is_empty() && before == after {
                continue;
            }
            holders.push(Entry { time: String::new(), fields: only.clone(), ..entry.clone() });
            entry.fields.cut(&path);
        }
    }
    let me = Entry {
        manager: caller.manager.clone(),
        apply: caller.scales,
        api_version: kind.api_version(&at.name),
        subresource: "scale".to_owned(),
        time: String::new(),
        fields: only,
    };
    if before != after {
        holders.clear();
    }
    if tracked && after != 0 && (before != after || caller.scales) {
        holders.retain(|holder| !holder.is(&me.manager, me.apply, &me.api_version, "scale"));
        holders.push(me);
    }
    entries.extend(holders);
    write(new, entries);
}

/// Server-side apply: the object that results from laying a configuration over the live one (`None`: it does not exist yet),
/// with managedFields, or the conflicts that stand in the way.
pub(crate) fn apply(
    kind: &Kind,
    at: &Version,
    live: Option<&Value>,
    config: &Value,
    caller: &Caller,
    subresource: &str,
    force: bool,
) -> Result<Value, ApiError> {
    if config.pointer("/metadata/managedFields").is_some_and(|list| !list.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let structure = kind.structure(at);
    let shape = Shape::root(structure);
    let api_version = kind.api_version(&at.name);
    let mut wrong = Vec::new();
    if let Some(structure) = structure {
        decode::mismatch(structure, config, "", true, &mut wrong);
    }
    if !wrong.is_empty() {
        let why = if let [one] = wrong.as_slice() { one.clone() } else { format!("errors:\n  {}", wrong.join("\n  ")) };
        let text = |field: &str| config.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default();
        let group = if kind.group.is_empty() { "/" } else { "" };
        let what = format!("{}/{}; {group}{api_version}, Kind={}", text("namespace"), text("name"), kind.kind);
        return Err(ApiError::new(500, "", format!("failed to create typed patch object ({what}): {why}")));
    }
    let mut set = merge::fields(&ownable(config), shape);
    restrict(&mut set, kind, at, subresource);
    set.member = false;

    let empty = json!({"metadata": {}});
    let base = live.unwrap_or(&empty);
    let mut entries = parse(base);
    if let Some(live) = live.filter(|_| entries.is_empty()) {
        // Somebody wrote it before ownership was kept.
        let mut fields = merge::compare(&json!({}), &ownable(live), shape).added;
        restrict(&mut fields, kind, at, subresource);
        fields.member = false;
        entries.push(Entry {
            manager: FIRST.into(),
            apply: false,
            api_version: api_version.clone(),
            subresource: subresource.to_owned(),
            time: caller.now.clone(),
            fields,
        });
    }
    let mine = entries.iter().position(|e| e.is(&caller.manager, true, &api_version, subresource));
    let last = mine.and_then(|index| entries.get(index)).cloned();

    let mut merged = merge::merge(base, config, shape, true);
    if let Some(last) = &last {
        let mut keep = set.clone();
        // A configuration says which object it is; its metadata never goes as a whole.
        let mut identity = Set::default();
        identity.insert("f:name".to_owned(), Set::leaf());
        let mut of = Set::default();
        of.insert("f:metadata".to_owned(), identity);
        keep.union(&of);
        for (index, entry) in entries.iter().enumerate() {
            if Some(index) != mine {
                keep.union(&entry.fields);
            }
        }
        merged = merge::prune(&merged, &last.fields, &keep, shape, true, None);
    }
    if merged.get("metadata").is_none() {
        merged["metadata"] = json!({});
    }
    restore_system(base, &mut merged);
    let mut changes = merge::compare(&ownable(base), &ownable(&merged), shape);
    for set in [&mut changes.added, &mut changes.modified, &mut changes.removed] {
        restrict(set, kind, at, subresource);
    }
    let mut gained = changes.added;
    gained.union(&changes.modified);
    let mut causes = Vec::new();
    let mut blocks = Vec::new();
    for (index, entry) in entries.iter_mut().enumerate() {
        if Some(index) == mine {
            continue;
        }
        let taken = entry.fields.intersection(&gained);
        if !taken.is_empty() {
            let paths = taken.paths();
            let who = entry.describe();
            for path in &paths {
                causes.push(Cause {
                    reason: "FieldManagerConflict",
                    field: path.clone(),
                    message: format!("conflict with {who}"),
                });
            }
            blocks.push(Block { order: entry.identifier(), who, paths });
            entry.fields.subtract(&taken);
        }
        entry.fields.subtract(&changes.removed);
    }
    if !causes.is_empty() && !force && !taken_over(live, caller, &blocks, shape) {
        return Err(conflict(&causes, blocks));
    }
    let changed = ownable(base) != ownable(&merged);
    match mine.and_then(|index| entries.get_mut(index)) {
        Some(entry) => {
            entry.fields = set;
            entry.api_version = api_version;
            if changed {
                entry.time.clone_from(&caller.now);
            }
        }
        None => entries.push(Entry {
            manager: caller.manager.clone(),
            apply: true,
            api_version,
            subresource: subresource.to_owned(),
            time: if changed { caller.now.clone() } else { String::new() },
            fields: set,
        }),
    }
    write(&mut merged, entries);
    if caller.manager == KUBECTL
        && let Some(last) = merged.pointer_mut(LAST_APPLIED)
    {
        *last = format!("{}\n", without_last_applied(config)).into();
    }
    Ok(merged)
}

/// The configuration as kubectl would note it.
fn without_last_applied(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    config
}

/// Whether kubectl applies again what it once applied on its own side: then nothing of that stands in its way.
fn taken_over(live: Option<&Value>, caller: &Caller, blocks: &[Block], shape: Shape<'_>) -> bool {
    let last = live.and_then(|live| live.pointer(LAST_APPLIED)).and_then(Value::as_str);
    let Some(last) = last.filter(|_| caller.manager == KUBECTL) else { return false };
    let Ok(last) = serde_json::from_str::<Value>(last) else { return false };
    let was = merge::fields(&ownable(&last), shape).paths();
    blocks.iter().flat_map(|block| &block.paths).all(|path| was.contains(path))
}

/// Takes over the times of ownership if nothing but them would change.
pub(crate) fn keep_times(old: &Value, new: &mut Value) {
    let managers = |object: &Value| object.pointer("/metadata/managedFields").cloned();
    let (Some(before), Some(now)) = (managers(old), managers(new)) else { return };
    let timeless = |list: &Value| -> Vec<Value> {
        let mut list = list.as_array().cloned().unwrap_or_default();
        for entry in list.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        list
    };
    if before == now || timeless(&before) != timeless(&now) {
        return;
    }
    new["metadata"]["managedFields"] = before;
    if new != old {
        new["metadata"]["managedFields"] = now;
    }
}

/// What the server wrote into metadata is not for a configuration to change.
fn restore_system(base: &Value, merged: &mut Value) {
    for field in ["resourceVersion", "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        let given = merged.pointer(&format!("/metadata/{field}")).cloned();
        let Some(meta) = merged.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        match base.pointer(&format!("/metadata/{field}")) {
            // A resourceVersion or uid in the configuration is a precondition, checked by the update that follows.
            Some(_) if matches!(field, "resourceVersion" | "uid") && given.is_some() => {}
            Some(value) => {
                meta.insert(field.into(), value.clone());
            }
            // A kind that counts nothing keeps the count that it was created with.
            None if field == "generation" && base.pointer("/metadata/uid").is_none() => {}
            None => {
                meta.remove(field);
            }
        }
    }
}

/// What stands in the way of applying a number of replicas through the scale subresource: the managers that own it.
pub(crate) fn scaled(object: &Value, path: &str, caller: &Caller) -> Result<(), ApiError> {
    let wanted: Vec<String> = path.split('.').filter(|part| !part.is_empty()).map(|part| format!("f:{part}")).collect();
    let owns = |entry: &Entry| {
        let below = wanted.iter().try_fold(&entry.fields, |set, element| set.children.get(element.as_str()));
        below.is_some_and(|set| set.member)
    };
    let owners: Vec<Entry> = parse(object).into_iter().filter(owns).collect();
    let blocks: Vec<Block> = if owners.is_empty() {
        let who = format!("{FIRST:?} with subresource \"scale\" using autoscaling/v1");
        vec![Block { order: String::new(), who, paths: vec![".spec.replicas".to_owned()] }]
    } else {
        let others = owners.iter().filter(|entry| !(entry.manager == caller.manager && entry.subresource == "scale"));
        let block =
            |entry: &Entry| Block { order: entry.identifier(), who: entry.describe(), paths: vec![".spec.replicas".to_owned()] };
        others.map(block).collect()
    };
    if blocks.is_empty() {
        return Ok(());
    }
    let cause = |block: &Block| Cause {
        reason: "FieldManagerConflict",
        field: ".spec.replicas".into(),
        message: format!("conflict with {}", block.who),
    };
    let causes: Vec<Cause> = blocks.iter().map(cause).collect();
    Err(conflict(&causes, blocks))
}

/// Notes in an object that is answered and not stored who gave what its `spec` says.
pub(crate) fn note_spec(object: &mut Value, api_version: &str, caller: &Caller, subresource: &str) {
    let mut given = Map::new();
    for (field, value) in object.get("spec").and_then(Value::as_object).into_iter().flatten().filter(|(_, v)| !v.is_null()) {
        given.insert(field.clone(), value.clone());
    }
    let mut fields = merge::compare(&json!({}), &json!({"spec": given}), Shape::Free).added;
    fields.member = false;
    if let Some(spec) = fields.children.get_mut("f:spec") {
        spec.member = false;
    }
    let entry = Entry {
        manager: caller.manager.clone(),
        apply: false,
        api_version: api_version.to_owned(),
        subresource: subresource.to_owned(),
        time: caller.now.clone(),
        fields,
    };
    write(object, vec![entry]);
}

/// What one manager has that an apply wants.
struct Block {
    order: String,
    who: String,
    paths: Vec<String>,
}

fn conflict(causes: &[Cause], mut blocks: Vec<Block>) -> ApiError {
    blocks.sort_by(|a, b| a.order.cmp(&b.order));
    let text = if let ([_], [Block { who, paths, .. }]) = (causes, blocks.as_slice()) {
        format!("1 conflict: conflict with {who}: {}", paths.concat())
    } else {
        let list: Vec<String> =
            blocks.iter().map(|block| format!("conflicts with {}:\n- {}", block.who, block.paths.join("\n- "))).collect();
        format!("{} conflicts: {}", causes.len(), list.join("\n"))
    };
    let mut error = ApiError::new(409, "Conflict", format!("Apply failed with {text}"));
    error.details = Some(json!({"causes": ApiError::causes(causes)}));
    error
}
