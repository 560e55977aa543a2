//! What a request does to the objects: create, update, delete, with the rules that every Kubernetes API server keeps.
//!
//! Synchronous and total: it runs under one lock and either commits or refuses. Consequences (collection of dependents, emptying
//! of namespaces, new kinds) are settled before the lock is given back; see [`super::consequences`].

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::builtin;
use super::checks;
use super::consequences::Task;
use super::decode;
use super::defaults;
use super::error::{ApiError, Cause};
use super::kind::{Kind, Version};
use super::managed;
use super::merge;
use super::rules::{
    check_identity, check_immutable, check_metadata, deletion, differs_in_spec, is_released, keep_metadata, separate,
    set_deletion,
};
use super::sent::read;
use super::store::{Place, Store, Stored};

/// Who asks, and how.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The field manager.
    pub(crate) manager: String,
    /// Nothing is to be kept.
    pub(crate) dry_run: bool,
    /// What to do about unknown fields.
    pub(crate) unknown: Unknown,
    /// The paths of fields that the request gives twice.
    pub(crate) twice: Vec<String>,
    /// The request is a patch that is not an apply.
    pub(crate) patch: bool,
    /// A strategic patch, as Go prints it.
    pub(crate) shown: Option<String>,
    /// The request is an apply of the scale subresource.
    pub(crate) scales: bool,
    /// The present, as Kubernetes writes it.
    pub(crate) now: String,
}

/// What to do about fields that a schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Drop them.
    Ignore,
    /// Drop them and say so.
    Warn,
    /// Refuse the object.
    Refuse,
}

/// How an object came to be what it is, for field ownership.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// By an update or a patch: who changed a field owns it.
    Update,
    /// By an apply; managedFields are already decided.
    Applied,
}

/// The answer to a write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) stored: Arc<Stored>,
    /// The object did not exist before.
    pub(crate) created: bool,
    /// The object is gone for good.
    pub(crate) removed: bool,
    pub(crate) warnings: Vec<String>,
}

/// Which object, in which version, through which door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub(crate) kind: &'a Arc<Kind>,
    pub(crate) version: &'a str,
    /// Empty: the object itself.
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// The objects and what follows from changing them.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) tasks: VecDeque<Task>,
    /// How many objects were created without being kept.
    pub(crate) drafts: u64,
    /// Whether dependents and contents of namespaces are collected, as controllers do it in a real cluster.
    pub(crate) collects: bool,
}

impl Server {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        Self {
            store: Store::new(builtin::registry()),
            name: name.into(),
            seed,
            tasks: VecDeque::new(),
            drafts: 0,
            collects: true,
        }
    }

    /// The stored object, or 404.
    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<&Arc<Stored>, ApiError> {
        self.store
            .of_kind(kind)
            .and_then(|collection| collection.get(namespace, name))
            .ok_or_else(|| ApiError::not_found(kind, name))
    }

    /// Creates an object. The caller sees to it that `body` names the kind's group and the given version.
    pub(crate) fn create(
        &mut self,
        caller: &Caller,
        kind: &Arc<Kind>,
        version: &str,
        namespace: &str,
        mut body: Value,
        how: How,
    ) -> Result<Written, ApiError> {
        let at = kind.version(version).ok_or_else(ApiError::no_such_resource)?;
        let hollow = is_hollow(kind, &how, &body);
        let mut warnings = read(caller, kind, at, &mut body)?;
        let warned = |error: ApiError| ApiError { warnings: warnings.clone(), ..error };
        let (name, misnamed) = self.name_of(kind, &mut body, namespace).map_err(warned)?;
        self.check_namespace(kind, namespace, &name).map_err(warned)?;
        if caller.dry_run {
            self.drafts += 1;
        }
        let uid = self.uid(kind, namespace, &name, caller.dry_run);
        let meta = metadata(&mut body)?;
        let given = meta.get("resourceVersion").and_then(Value::as_str).is_some_and(|v| !v.is_empty());
        if given && matches!(how, How::Update) {
            return Err(warned(ApiError::new(500, "", "resourceVersion should not be set on objects to be created")));
        }
        for field in ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            meta.remove(field);
        }
        meta.insert("uid".into(), uid.into());
        meta.insert("creationTimestamp".into(), caller.now.clone().into());
        if kind.counted || kind.custom {
            meta.insert("generation".into(), 1.into());
        }
        if at.status
            && let Some(object) = body.as_object_mut()
        {
            object.remove("status");
        }
        let said = self.conform(caller, kind, at, None, &mut body, &name, "", &how, misnamed).map_err(warned)?;
        warnings.extend(said);
        let charges = match self.within_quotas(kind, namespace, &name, &body) {
            Ok(charges) => charges,
            Err(error) => return Err(ApiError { warnings, ..error }),
        };
        if let Some(there) = self.store.of_kind(kind).and_then(|c| c.get(namespace, &name)) {
            let error = if there.deleting { ApiError::still_exists(kind, &name) } else { ApiError::already_exists(kind, &name) };
            return Err(ApiError { warnings, ..error });
        }
        if matches!(how, How::Update) {
            managed::after_update(kind, at, None, &mut body, caller, "");
        }
        self.store_form(kind, at, None, &mut body, &how);
        body["apiVersion"] = kind.storage_api_version().into();
        if caller.dry_run {
            let stored = Arc::new(Stored::of(&body, 0));
            return Ok(Written { stored, created: true, removed: false, warnings });
        }
        let stored = self.store.commit_as(kind, body, hollow);
        if !self.collects {
            self.charge(caller, charges);
        }
        self.after_commit(caller, kind, None, &stored);
        let place = super::store::place(kind, &stored);
        let stored = self.store.get(&place).cloned().unwrap_or(stored);
        Ok(Written { stored, created: true, removed: false, warnings })
    }

    /// Replaces an object, or its status.
    pub(crate) fn update(&mut self, caller: &Caller, spot: Spot<'_>, mut body: Value, how: How) -> Result<Written, ApiError> {
        let at = spot.kind.version(spot.version).ok_or_else(ApiError::no_such_resource)?;
        let hollow = spot.subresource.is_empty() && is_hollow(spot.kind, &how, &body);
        let mut warnings = read(caller, spot.kind, at, &mut body)?;
        match self.replace(caller, spot, at, body, how, hollow) {
            Ok(written) => {
                warnings.extend(written.warnings);
                Ok(Written { warnings, ..written })
            }
            Err(error) => Err(ApiError { warnings, ..error }),
        }
    }

    /// Replaces an object by one that has been read.
    fn replace(
        &mut self,
        caller: &Caller,
        spot: Spot<'_>,
        at: &Version,
        mut body: Value,
        how: How,
        hollow: bool,
    ) -> Result<Written, ApiError> {
        let Spot { kind, version, subresource, namespace, name } = spot;
        let named = body.pointer("/metadata/name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        if !named && matches!(how, How::Update) {
            let why = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
            return Err(ApiError::bad_request(why));
        }
        let current = Arc::clone(self.get(kind, namespace, name)?);
        let mut old = current.value();
        old["apiVersion"] = kind.api_version(version).into();
        let meta = metadata(&mut body)?;
        check_identity(kind, namespace, name, meta)?;
        match meta.get("resourceVersion").and_then(Value::as_str).unwrap_or_default() {
            "" if kind.custom && !caller.patch && matches!(how, How::Update) && subresource != "scale" => {
                let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
                return Err(ApiError::unspecified(kind, name, cause));
            }
            "" => {}
            given if given == current.version.to_string() => {}
            given if given.parse::<u64>().is_err() => {
                return Err(ApiError::new(500, "", format!("strconv.ParseUint: parsing {given:?}: invalid syntax")));
            }
            _ => return Err(ApiError::modified(kind, name)),
        }
        let twice = |cause: Cause| if kind.custom { vec![cause] } else { vec![cause.clone(), cause] };
        if let Some(uid) = meta.get("uid").and_then(Value::as_str)
            && !uid.is_empty()
            && *uid != *current.uid
        {
            if caller.patch || matches!(how, How::Applied) {
                let cause = Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
                return Err(ApiError::invalid(kind, name, &twice(cause)));
            }
            let why = format!("UID in precondition: {uid}, UID in object meta: {}", current.uid);
            let why = stale(kind, namespace, name, &why);
            return Err(ApiError::conflict(kind, name, &why));
        }
        if let Some(time) = meta.get("deletionTimestamp").filter(|time| !time.is_null())
            && old.pointer("/metadata/deletionTimestamp") != Some(time)
            && subresource.is_empty()
        {
            let cause = Cause::invalid("metadata.deletionTimestamp", time, "field is immutable");
            return Err(ApiError::invalid(kind, name, &twice(cause)));
        }
        // Who owns what cannot be kept of an object that does not fit its schema, even where that part of it does not count.
        let mut unfit = Vec::new();
        if let Some(structure) = at.structure.as_ref().filter(|_| subresource == "status" && matches!(how, How::Update)) {
            decode::mismatch(structure, &body, "", true, &mut unfit);
            // What is there twice can be told apart no more, but it can be kept.
            unfit.retain(|why| !why.contains("duplicate entries"));
        }
        let mut new = separate(kind, at, &old, body, subresource);
        let sent = deletion(&new);
        keep_metadata(&old, &mut new);
        if !subresource.is_empty()
            && at.structure.is_none()
            && let Some(structure) = kind.structure(at)
        {
            // What was stored is read once more together with what is new.
            decode::typed(structure, &mut new, &mut Vec::new()).map_err(ApiError::bad_request)?;
        }
        let warnings = self.conform(caller, kind, at, Some(&old), &mut new, name, subresource, &how, None)?;
        let noted = subresource.is_empty()
            && kind.kind == "Deployment"
            && kind.group == "apps"
            && old.pointer("/metadata/annotations") != new.pointer("/metadata/annotations");
        if (kind.counted || kind.custom) && (noted || differs_in_spec(at, &old, &new)) {
            let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0) + 1;
            new["metadata"]["generation"] = generation.into();
        }
        if matches!(how, How::Update) {
            // Who owns what goes by what was sent.
            let kept = deletion(&new);
            set_deletion(&mut new, sent);
            managed::after_update(kind, at, Some(&old), &mut new, caller, subresource);
            set_deletion(&mut new, kept);
        }
        if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut).filter(|_| !unfit.is_empty()) {
            metadata.remove("managedFields");
        }
        self.store_form(kind, at, Some(&old), &mut new, &how);
        managed::keep_times(&old, &mut new);
        if new == old && !hollow && !current.hollow {
            return Ok(Written { stored: current, created: false, removed: false, warnings });
        }
        new["apiVersion"] = kind.storage_api_version().into();
        if caller.dry_run {
            let stored = Arc::new(Stored::of(&new, current.version));
            return Ok(Written { stored, created: false, removed: false, warnings });
        }
        if current.deleting && is_released(kind, &new) {
            // It goes as it was; the answer is what it would have become.
            let last = Arc::new(Stored::of(&new, current.version));
            self.erase(kind, &current);
            self.settle(caller);
            return Ok(Written { stored: last, created: false, removed: true, warnings });
        }
        let stored = self.store.commit_as(kind, new, hollow);
        self.after_commit(caller, kind, Some(&current), &stored);
        let place = super::store::place(kind, &stored);
        let stored = self.store.get(&place).cloned().unwrap_or(stored);
        Ok(Written { stored, created: false, removed: false, warnings })
    }

    /// Server-side apply through any door.
    pub(crate) fn apply(&mut self, caller: &Caller, spot: Spot<'_>, config: &Value, force: bool) -> Result<Written, ApiError> {
        let Spot { kind, version, subresource, namespace, name } = spot;
        let at = kind.version(version).ok_or_else(ApiError::no_such_resource)?;
        let live = self.store.of_kind(kind).and_then(|collection| collection.get(namespace, name)).cloned();
        let mut config = config.clone();
        let meta = metadata(&mut config)?;
        meta.entry("name").or_insert_with(|| name.into());
        if meta.get("name").and_then(Value::as_str) != Some(name) {
            let given = meta.get("name").and_then(Value::as_str).unwrap_or_default();
            let why = format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(ApiError::bad_request(why));
        }
        match live {
            None if !subresource.is_empty() => Err(ApiError::not_found(kind, name)),
            None => {
                if let Some(uid) = config.pointer("/metadata/uid").and_then(Value::as_str).filter(|uid| !uid.is_empty()) {
                    let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                    return Err(ApiError::conflict(kind, name, &why));
                }
                let object = managed::apply(kind, at, None, &config, caller, subresource, force)?;
                self.create(caller, kind, version, namespace, object, How::Applied)
            }
            Some(live) => {
                let mut base = live.value();
                base["apiVersion"] = kind.api_version(version).into();
                let object = managed::apply(kind, at, Some(&base), &config, caller, subresource, force)?;
                self.update(caller, spot, object, How::Applied)
            }
        }
    }

    fn check_namespace(&self, kind: &Kind, namespace: &str, name: &str) -> Result<(), ApiError> {
        if !kind.namespaced {
            return Ok(());
        }
        let namespaces = self.store.kinds.plural("", "namespaces").expect("namespaces are built in");
        let found = self.get(namespaces, "", namespace)?;
        if found.deleting {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let mut error = ApiError::forbidden(kind, name, &why);
            let causes = [Cause {
                reason: "NamespaceTerminating",
                field: "metadata.namespace".into(),
                message: format!("namespace {namespace} is being terminated"),
            }];
            if let Some(details) = error.details.as_mut() {
                details["causes"] = ApiError::causes(&causes);
            }
            return Err(error);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "one step of two callers, taken out of both")]
    /// Defaults and validation: makes the object what its kind wants, or refuses it. `misnamed`: what is wrong with its name.
    fn conform(
        &self,
        caller: &Caller,
        kind: &Kind,
        at: &Version,
        old: Option<&Value>,
        new: &mut Value,
        name: &str,
        subresource: &str,
        how: &How,
        misnamed: Option<Cause>,
    ) -> Result<Vec<String>, ApiError> {
        let mut causes: Vec<Cause> = misnamed.into_iter().collect();
        if let Some(structure) = &at.structure {
            structure.default_root(new, matches!(how, How::Applied));
            causes.extend(check_metadata(kind, new, old));
            let status = subresource == "status";
            super::validate::object(structure, at.scale.as_ref(), new, old, status, &mut causes);
        } else {
            if let Some(structure) = kind.structure(at) {
                decode::complete_root(structure, new);
            }
            defaults::fill(kind, old, new);
            causes.extend(check_metadata(kind, new, old));
            if let Some(old) = old {
                causes.extend(check_immutable(kind, old, new));
            }
            super::sent::settle(kind, new);
            causes.extend(checks::check(kind, new));
        }
        if !causes.is_empty() {
            return Err(ApiError::invalid(kind, name, &causes));
        }
        if kind.is_definition() {
            super::crd::prepare(self, kind, old, new, &caller.now)?;
        }
        Ok(if matches!(subresource, "" | "scale") { checks::warnings(kind, old, new) } else { Vec::new() })
    }

    /// What comes last: addresses that the server gives, and empty lists as they are stored.
    fn store_form(&self, kind: &Kind, at: &Version, old: Option<&Value>, new: &mut Value, how: &How) {
        if kind.custom {
            // What is stored is what the version wants that it is stored in, and is read back without the nulls that an apply left.
            let converted = kind.stored().name != at.name;
            if let Some(stored) = kind.stored().structure.as_ref().filter(|_| converted || matches!(how, How::Applied)) {
                if converted {
                    let pruned = stored.prune_root(new, &mut Vec::new());
                    debug_assert!(pruned.is_ok(), "metadata that was read once can be read again");
                }
                stored.default_root(new, false);
            }
            return;
        }
        defaults::allocate(self, kind, old, new);
        if let Some(structure) = kind.structure(at) {
            decode::nulls(structure, new);
        }
    }

    /// Places by group, kind, namespace, name.
    pub(crate) fn locate(&self, group: &str, kind: &str, namespace: &str, name: &str) -> Option<(Arc<Kind>, Place)> {
        let kind = self.store.kinds.kind(group, kind)?;
        let place = Place {
            group: kind.group.clone(),
            plural: kind.plural.clone(),
            namespace: if kind.namespaced { namespace.to_owned() } else { String::new() },
            name: name.to_owned(),
        };
        Some((Arc::clone(kind), place))
    }
}

/// Why the store refuses to touch an object that is not the one that was meant.
pub(crate) fn stale(kind: &Kind, namespace: &str, name: &str, why: &str) -> String {
    let group = if kind.custom { format!("{}/", kind.group) } else { String::new() };
    let place = if kind.namespaced { format!("{namespace}/{name}") } else { name.to_owned() };
    format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{place}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {why}",
        kind.plural
    )
}

/// Whether metadata comes with an apply that is empty: of a custom kind it is stored as it is, and seen by nobody.
fn is_hollow(kind: &Kind, how: &How, body: &Value) -> bool {
    let has = |field: &str| body.get("metadata").and_then(|metadata| metadata.get(field)).is_some_and(merge::is_empty);
    kind.custom && matches!(how, How::Applied) && ["labels", "annotations", "finalizers", "ownerReferences"].into_iter().any(has)
}

/// The metadata of a body, created where it is missing.
pub(crate) fn metadata(body: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    let wrong = || ApiError::bad_request("the object provided is unrecognized (must be of type object with metadata)");
    let object = body.as_object_mut().ok_or_else(wrong)?;
    object.entry("metadata").or_insert_with(|| json!({})).as_object_mut().ok_or_else(wrong)
}
