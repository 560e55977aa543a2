//! espalier runs a Gardener landscape from a Git repository. This page is its architecture.
//!
//! A commit is text. Pure functions turn it into a plan, one stage after another, each stage consuming the type that the previous
//! one earned. Thin edges fetch the commit, observe the clusters, carry out the plan and commit the status. Nothing is executed as
//! a long procedure: every look at an owner evaluates a graph over what is observed and acts on its frontier, so a crash, a restart
//! or a second replica loses nothing.
//!
//! ```text
//!             git                                                                             clusters
//!  Revision ─► Snapshot ─► Landscape ─► Admitted ─► Placements ─► Release ─┐          ┌─ Observed ◄─ observe
//!             (bytes)      (typed,      (defaulted,  (shoot→seed)          │          │  (live objects, facts)
//!                           linked)      checked)                          ▼          ▼
//!                                                                     OwnerPlan = plan(Release, Observed)
//!  Revision' ◄─ commit ◄─ Changes ◄─ report(plan, results) ◄─ StepResult ◄─ execute(frontier) ─► clusters
//!             findings (code, place, severity, help) fall out of every stage and meet in one list
//! ```
//!
//! Verbs, in order: *snapshot, load, admit, place, render, plan, execute, report, commit*. [`pipeline`] is the one place where the
//! pure ones are chained; [`daemon`] drives the others.
//!
//! # The unit is the owner
//!
//! Every object of a landscape (a Shoot, a Seed, a Project, `landscape.yaml` itself) is an [`landscape::Owner`]: what is held,
//! planned, applied, reported and queued as one. Its object in the garden holds the spec that was last accepted, the decisions made
//! for it and its status, written before they are acted upon. A file that is wrong holds its own owner and nothing else.
//!
//! When an accepted change is rolled out is one question ([`pipeline::rollout`], [`plan::when`]): a freeze holds it, a confined shoot
//! waits for its maintenance window, and everybody else goes ahead; meanwhile what was rolled out last is kept and repaired.
//!
//! # Rings
//!
//! Arrows between modules point inward only; `tests/it/tidy.rs` reads the `use crate::` lines and fails on one that does not.
//!
//! * **0, vocabulary**: [`finding`], [`snapshot`], [`document`], [`value`], [`graph`], [`digest`], [`memo`], [`share`].
//! * **1, the model**: [`landscape`], [`observed`].
//! * **2, the stages**, pure (no async, clock, randomness or I/O): [`library`], [`admission`], [`schedule`], [`secrets`],
//!   [`facts`], [`render`], [`health`], [`plan`], [`status`], [`promote`], and [`pipeline`] over them.
//! * **3, the edges**, the only modules with I/O: [`git`], [`cluster`], [`apply`], [`helm`], [`sim`].
//! * **4, the shells**: [`daemon`], [`web`], [`cli`], [`mod@print`], [`config`], [`telemetry`].
//!
//! Data that crosses a border is defined on its inner side: [`snapshot::Snapshot`] and [`snapshot::Changes`] towards Git,
//! [`observed::Observed`] and [`plan::StepResult`] towards clusters. The port to a cluster is [`kube::Client`] itself; a real API
//! server and [`sim`] both provide one, so there is no cluster trait and no test-only branch.
//!
//! # Where things are one file each
//!
//! | To add | Touch |
//! |---|---|
//! | a component | `templates/<scope>/x.yaml`; with `each: <list of the context>` there is one for each item, which holds up only what is made for the same item |
//! | a policy | `policies/x.yaml`, with its test cases in it |
//! | a family of semantic rules | `src/admission/checks/x.rs` and one word in `checks! { … }` |
//! | a landscape kind | `src/landscape/x.rs`, one line in [`landscape::Kind`]; `schemas/x.json` is generated |
//! | a simulated controller | `src/sim/actors/x.rs` and one word |
//! | a fault of simulated clusters | a variant of [`sim::Fault`], its words in `src/sim/schedule.rs` and `schedule/read.rs` |
//! | a command | `src/cli/x.rs` and one line |
//!
//! # Invariants
//!
//! 1. *The core cannot fail.* Rings 0–2 have no async, no I/O crate, no clock.
//! 2. *One door.* Only [`document`] reads tenants' YAML; only [`mod@print`] writes to the terminal; only [`render`] stamps ownership;
//!    only [`git`] moves refs; only [`apply`] mutates clusters.
//! 3. *Held freezes intent.* A held owner's last accepted spec goes on being repaired; nothing of it is extended or deleted.
//! 4. *Absence is not deletion.* An owner goes when it is gone from Git *and* its last accepted object confirms it, within the
//!    budget; and nothing of it goes while somebody uses it.
//! 5. *Same inputs, same bytes*, whatever the thread count, map order, locale or time zone.
//! 6. *Plans are complete.* Execution makes no choice that a reader of the plan could not have foreseen.
//! 7. *Repair is not gated.*
//! 8. *Progress is observed.* Killing the process between any two requests converges to the same end, and so does whatever a
//!    [`sim::Schedule`] lets go wrong with requests, watches and controllers.
//! 9. *Status follows outcome*, and never triggers a reconcile.
//! 10. *Secrets do not travel*: no secret value in a plan, diff, log, status file, page, metric or panic message.
//! 11. *The mirror is not the source.* Nothing read from a status branch reaches a cluster.
//! 12. *Cost follows change.* A pass in which nothing changed makes no write but the Lease's; planning again after shoots changed
//!     looks at these.
//! 13. *No decision in the dark.* Nothing is placed, named, generated, accepted or deleted unless the garden, and the cluster
//!     concerned, were listed completely. A garden that was restored empty finds shoots, and the buckets of their backups, where they
//!     stand in seeds; what it cannot tell from there is held.
//!
//! # Where this page differs from the design it grew from
//!
//! * Drift is the body that we want against our own `fieldsV1`, leaf by leaf (`plan::covers`), instead of a stored hash of that
//!   entry: a field that somebody changes or removes leaves our entry, so nothing has to be remembered across a restart.
//! * A shoot waits for the seed that it belongs on while that seed is on its way to ready and nothing of it failed; Gardener would
//!   place it for good on whichever seed is ready first, so the outcome would depend on when the process was started or killed.
//! * Extensions are parts of their seed, one instance of four components for each registration that the seed wants
//!   ([`schedule::extensions`], [`pipeline::installations`]). A seed whose extension is broken serves on ([`plan::serves`]); a shoot
//!   waits for those of its own kinds and types by name. What `helm` makes of a chart is a fact: asked for as secrets' bodies are,
//!   kept by the digest of what was asked, and while it is missing or refused nothing of that extension is written or pruned.
//!   What extensions report of a shoot's health is part of its status only while they live: their heartbeats are asked for once a
//!   minute and looked at by status alone (`daemon::state::heartbeats`). A token of the garden is a step of the seed's plan
//!   ([`plan::Action::Renew`]), and `again` says when it is due.
//! * What a template writes is text with holes where its values are. Texts that are the same around their holes are read once, and the
//!   values of the next owner go into what was read (`render::mould`): the reader is asked again wherever a value could matter to it.
//!   What is made of it (names by content, digests, packed texts, the YAML itself) is worked out once as well, with holes
//!   (`render::program`), and manifests are put together only where somebody looks at them ([`render::Body`]).
//! * A template is not run again for an owner whose context has the structure of one before (`render::replay`): what it wrote is filled
//!   in. What looks into texts, and what reads about clusters, is asked again each time; where that decides otherwise, it is run.
//! * The version of an API server comes with every list of its objects ([`observed::Live`]); a watch that comes back to another version
//!   lists again, so nothing is rendered for a server that was upgraded meanwhile.
//! * A release may be dropped once its owner is as wanted; a later look renders it again. Plans keep states and steps, not bodies.

pub mod admission;
pub mod apply;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod daemon;
pub mod digest;
pub mod document;
pub mod facts;
pub mod finding;
pub mod git;
pub mod graph;
pub mod health;
pub mod helm;
pub mod landscape;
pub mod library;
pub mod memo;
pub mod observed;
pub mod pipeline;
pub mod plan;
pub mod print;
pub mod promote;
pub mod render;
pub mod schedule;
pub mod secrets;
pub mod share;
pub mod sim;
pub mod snapshot;
pub mod status;
pub mod telemetry;
pub mod value;
pub mod web;
