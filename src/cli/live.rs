//! What clusters have of a landscape right now, beside what is written: read for people, by requests that only get and list.
//!
//! The daemon's own evaluation tells what is wanted, so what is called drift here is what a pass would restore. Secret bodies are read
//! where rendering needs them, as the daemon reads them, and are dropped with the rendering.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Context;
use super::reach::{Reach, Reached};
use super::read::{self, Reading};
use super::reported::Reported;
use crate::admission::{self, Accepted, Admitted};
use crate::cluster::{self, KindRef};
use crate::daemon::{keep, kinds_of};
use crate::digest::DigestKey;
use crate::landscape::{Kind, Owner, Target};
use crate::library::Library;
use crate::observed::{Keep, Object, ObjectKey, Observed};
use crate::pipeline::{self, Evaluation, Look, Memory, World, installations};
use crate::plan::covers::uncovered;
use crate::plan::diff;
use crate::plan::drift::{self, Drifted};
use crate::plan::{Action, ComponentState, MANIFEST, OwnerPlan, Step};
use crate::print::drift::ObjectDrift;
use crate::render;
use crate::schedule::Placements;
use crate::secrets::Bodies;

/// The clusters of a landscape as they were when they were looked at, and what the landscape wants of them.
pub(super) struct Live {
    reached: Reached,
    library: Arc<Library>,
    /// What is wanted.
    pub(super) world: World,
    /// What is there.
    pub(super) observed: Observed,
    digest_key: Option<DigestKey>,
    memory: Memory,
    /// The plans of owners that others wait for.
    plans: BTreeMap<Owner, Arc<OwnerPlan>>,
    /// Owners that were as wanted when they were reported last.
    ready: BTreeSet<Owner>,
    /// When it was looked.
    pub(super) at: Timestamp,
    /// What could not be looked at, and why, a line each.
    pub(super) notes: Vec<String>,
}

/// How a component stands.
pub(super) struct Stands {
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) state: ComponentState,
    /// Whether all that is to do is to restore what somebody changed.
    pub(super) drifted: bool,
}

/// What an owner is found to be.
#[derive(Default)]
pub(super) struct Found {
    /// Objects that are not as they were written.
    pub(super) drift: Vec<ObjectDrift>,
    /// How many objects are not written yet as they are wanted now.
    pub(super) pending: usize,
    /// How its components stand.
    pub(super) components: Vec<Stands>,
}

impl Live {
    /// Looks at the garden, and at the seeds of the owners that are wanted.
    pub(super) async fn look(
        context: &Context,
        reach: &Reach,
        reading: Reading,
        reported: &Reported,
        wanted: impl Fn(&Owner) -> bool,
    ) -> anyhow::Result<Self> {
        let reached = reach.plan(context, reading.landscape.settings());
        let library = reading.library.clone();
        let mut notes: Vec<String> = Vec::new();
        let mut observed = Observed::default();
        if let Err(why) = reached.cluster(&Target::Garden).await {
            notes.push(format!("the garden cannot be looked at: {why}"));
        } else {
            observe(&reached, &library, &BTreeSet::from([Target::Garden]), &mut observed).await;
        }
        let mut seeds: BTreeSet<Target> = BTreeSet::new();
        let owners = observed.targets.get(&Target::Garden).into_iter().flat_map(|garden| garden.objects.values());
        for (owner, object) in owners.filter_map(|o| Some((pipeline::owner_of(o)?, o))).filter(|(owner, _)| wanted(owner)) {
            match owner.kind {
                Kind::Shoot => {
                    let seed = object.get("/spec/seedName").and_then(Value::as_str);
                    seeds.extend(seed.map(|seed| Target::Seed(seed.to_owned())));
                }
                Kind::Seed => drop(seeds.insert(Target::Seed(owner.name))),
                _ => {}
            }
        }
        let unreachable = reached.all(seeds.clone()).await;
        seeds.retain(|seed| !unreachable.contains_key(seed));
        notes.extend(unreachable.into_iter().map(|(target, why)| format!("{target} cannot be looked at: {why}")));
        observe(&reached, &library, &seeds, &mut observed).await;
        let partly = observed.targets.iter().filter_map(|(target, live)| Some((target, live.problem.as_ref()?)));
        notes.extend(partly.map(|(target, why)| format!("{target} was not listed completely: {why}")));

        let mut memory = Memory::default();
        let at = read::now(&context.settings, None, None)?;
        let Reading { snapshot, landscape, findings, .. } = reading;
        let current = reported.reconciled.as_ref() == Some(&snapshot.revision);
        let ready = reported.files.keys().filter(|owner| current && reported.standing(owner) == "ready").cloned().collect();
        let accepted = pipeline::accepted(&observed);
        let landscape = Arc::new(landscape);
        let world = pipeline::world(snapshot.revision, landscape, findings, accepted, &library, at, &mut memory);
        let digest_key = match pipeline::digest_key_ref(&observed) {
            Some(secret) => {
                let (mut bodies, _) = cluster::bodies(reached.clusters(), &BTreeSet::from([secret.clone()])).await;
                bodies.0.remove(&secret).flatten().and_then(|body| body.into_values().next()).map(DigestKey)
            }
            None => None,
        };
        Ok(Self { reached, library, world, observed, digest_key, memory, plans: BTreeMap::new(), ready, at, notes })
    }

    /// Whether the garden could be looked at.
    pub(super) fn is_there(&self) -> bool {
        self.observed.targets.contains_key(&Target::Garden)
    }

    /// The garden's object of an owner, if it is ours.
    pub(super) fn garden(&self, owner: &Owner) -> Option<&Arc<Object>> {
        self.observed.garden(owner).filter(|object| object.is_tracked())
    }

    /// What the rules say of what is written if this had been accepted. Who is touched by no difference is not judged again.
    pub(super) fn judge(&mut self, accepted: &Accepted) -> Admitted {
        let (policies, now) = (self.library.policies(), self.at.as_second());
        admission::admit(&self.world.landscape, accepted, policies, now, &mut self.memory.admission).0
    }

    /// The clusters, to read more.
    pub(super) fn clusters(&self) -> &cluster::Clusters {
        self.reached.clusters()
    }

    /// Lets go of the clusters.
    pub(super) async fn close(self) {
        self.reached.close().await;
    }

    /// Looks at those that an owner waits for, so that it can be told whether it does.
    pub(super) async fn prepare(&mut self, owner: &Owner) {
        if !self.is_there() {
            return;
        }
        let seed = self.garden(owner).filter(|_| owner.kind == Kind::Shoot).and_then(|live| live.get("/spec/seedName")?.as_str());
        let seed = seed.map(|seed| Owner::cluster(Kind::Seed, seed));
        let project = owner.kind.namespaced().then(|| Owner::cluster(Kind::Project, owner.project.clone()));
        for other in [Some(self.world.root.clone()), project, seed].into_iter().flatten() {
            if other != *owner && !self.plans.contains_key(&other) && self.world.owners().contains(&other) {
                let plan = self.evaluate(&other).await.plan;
                self.plans.insert(other, Arc::new(plan.outline()));
            }
        }
    }

    /// Looks for what is not as it was written.
    pub(super) async fn find(&mut self, owner: &Owner) -> Found {
        let mut found = Found::default();
        if !self.is_there() {
            return found;
        }
        if let Some(drift) = self.written(owner).await {
            found.drift.push(drift);
        }
        let evaluation = self.evaluate(owner).await;
        let ready = self.ready.contains(owner);
        let mut changed: BTreeMap<Target, Vec<(KindRef, ObjectKey, Arc<Value>)>> = BTreeMap::new();
        for component in &evaluation.plan.components {
            for step in component.steps.iter().chain(&component.later) {
                let own = component.id.name == MANIFEST;
                match &step.action {
                    // Told above.
                    Action::Update { drift: true, .. } if own => {}
                    Action::Update { drift: true, body, .. } => {
                        let kind = KindRef::new(step.api_version.clone(), step.key.kind.clone());
                        changed.entry(step.target.clone()).or_default().push((kind, step.key.clone(), body.clone()));
                    }
                    // Nobody knows what is missing in a cluster that could not be listed.
                    Action::Create { .. } if !self.observed.complete(&step.target) => {}
                    Action::Create { .. } if ready => found.drift.push(ObjectDrift::missing(owner, &step.target, &step.key)),
                    Action::Create { .. } | Action::Update { .. } | Action::Recreate { .. } => found.pending += 1,
                    _ => {}
                }
            }
            let restored = |step: &Step| matches!(step.action, Action::Update { drift: true, .. });
            found.components.push(Stands {
                name: component.id.name.clone(),
                target: component.target.clone(),
                state: component.state.clone(),
                drifted: !component.steps.is_empty() && component.later.is_empty() && component.steps.iter().all(restored),
            });
        }
        for (target, objects) in changed {
            let wanted: Vec<(KindRef, ObjectKey)> = objects.iter().map(|(kind, key, _)| (kind.clone(), key.clone())).collect();
            match cluster::whole(self.reached.clusters(), &target, &wanted).await {
                Ok(read) => {
                    for (_, key, body) in objects {
                        let Some(Some(live)) = read.get(&key) else { continue };
                        let fields = drift::fields(&body, live, false);
                        if !fields.is_empty() {
                            found.drift.push(ObjectDrift::of(owner, &target, &key, fields));
                        }
                    }
                }
                Err(why) => self.notes.push(format!("objects of {owner} in {target} could not be read: {why}")),
            }
        }
        found.drift.sort_by(|a, b| (&a.cluster, &a.object).cmp(&(&b.cluster, &b.object)));
        found
    }

    /// The garden's own object of an owner against its accepted manifest; `None` if it is as it was written.
    async fn written(&mut self, owner: &Owner) -> Option<ObjectDrift> {
        let live = self.garden(owner)?.clone();
        let body = self.desired(owner)?;
        let whole = self.world.accepted.0.get(owner).or_else(|| self.world.admitted.objects.get(owner))?;
        // Only what looks otherwise is read again, to see who did that.
        let lost = live.fields.as_ref().is_none_or(|fields| uncovered(fields, &body).is_some());
        let added = diff::fields(whole, &live.kept)
            .into_iter()
            .any(|field| field.before.is_none() && !field.path.first().is_some_and(|key| key == "metadata" || key == "status"));
        if !lost && !added {
            return None;
        }
        let fields = self.against(owner, &body).await?;
        (!fields.is_empty()).then(|| ObjectDrift::of(owner, &Target::Garden, &live.key, fields))
    }

    /// The garden's object of an owner as it should stand there.
    fn desired(&self, owner: &Owner) -> Option<Arc<Value>> {
        if self.world.going.contains(owner) {
            return None;
        }
        let manifest = self.world.manifest(owner)?;
        Some(render::object(owner, manifest, &self.world.revision, None).body.value().clone())
    }

    async fn against(&mut self, owner: &Owner, body: &Value) -> Option<Vec<Drifted>> {
        let live = self.garden(owner)?;
        let wanted = (KindRef::new(live.api_version.clone(), live.key.kind.clone()), live.key.clone());
        match cluster::whole(self.reached.clusters(), &Target::Garden, std::slice::from_ref(&wanted)).await {
            Ok(mut read) => read.remove(&wanted.1).flatten().map(|whole| drift::fields(body, &whole, true)),
            Err(why) => {
                self.notes.push(format!("{owner} could not be read: {why}"));
                None
            }
        }
    }

    async fn evaluate(&mut self, owner: &Owner) -> Evaluation {
        // Nobody renders charts here: what waits for one says so.
        let charts = (!installations::is_simulated(self.world.settings.as_deref())).then(Arc::default);
        let (mut bodies, none, placements) = (Bodies::default(), BTreeSet::new(), Placements::default());
        loop {
            let look = Look {
                library: &self.library,
                observed: &self.observed,
                plans: &self.plans,
                placements: &placements,
                bodies: &bodies,
                digest_key: self.digest_key.as_ref(),
                charts: charts.as_ref(),
                contested: &none,
                now: self.at,
            };
            let evaluation = self.world.evaluate(owner, &look, &mut self.memory);
            if evaluation.needs.iter().all(|secret| bodies.0.contains_key(secret)) {
                self.memory.settle(owner);
                return evaluation;
            }
            let (read, problems) = cluster::bodies(self.reached.clusters(), &evaluation.needs).await;
            if let Some((target, why)) = problems.into_iter().next() {
                self.notes.push(format!("what {owner} is rendered from could not be read in {target}: {why}"));
                return evaluation;
            }
            bodies.0.extend(read.0);
        }
    }

    /// How many nodes the pools of a shoot have right now; `None` if that cannot be told.
    pub(super) async fn nodes(&mut self, owner: &Owner) -> Option<BTreeMap<String, i64>> {
        let live = self.garden(owner)?;
        let text = |pointer: &str| live.get(pointer).and_then(Value::as_str).map(str::to_owned);
        let (seed, namespace) = (text("/spec/seedName")?, text("/status/technicalID")?);
        let target = Target::Seed(seed);
        self.reached.clusters().client(&target)?;
        let kind = KindRef::new("machine.sapcloud.io/v1alpha1", "MachineDeployment");
        let deployments = match cluster::whole_in(self.reached.clusters(), &target, &kind, &namespace).await {
            Ok(deployments) => deployments,
            Err(why) => {
                self.notes.push(format!("the machines of {owner} could not be counted: {why}"));
                return None;
            }
        };
        let mut nodes = BTreeMap::new();
        for deployment in deployments {
            let Some(pool) = pool_of(&deployment) else { continue };
            *nodes.entry(pool.to_owned()).or_default() +=
                deployment.pointer("/status/replicas").and_then(Value::as_i64).unwrap_or_default();
        }
        Some(nodes)
    }
}

/// The pool that a machine deployment is a part of.
fn pool_of(deployment: &Value) -> Option<&str> {
    let labels = deployment.pointer("/spec/template/spec/nodeTemplate/metadata/labels")?;
    labels.get("worker.gardener.cloud/pool")?.as_str()
}

async fn observe(reached: &Reached, library: &Library, targets: &BTreeSet<Target>, observed: &mut Observed) {
    let kinds = targets.iter().map(|target| (target.clone(), kinds_of(library, target))).collect();
    let keep: Keep = keep(library);
    observed.targets.extend(cluster::observe(reached.clusters(), &kinds, &keep).await.targets);
}
