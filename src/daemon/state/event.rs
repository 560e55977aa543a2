//! What happens to the daemon, and what it wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::reverts::Reverts;
use crate::cluster::{Kinds, Signal};
use crate::digest::DigestKey;
use crate::finding::Findings;
use crate::landscape::{Landscape, Owner, Target};
use crate::library::Library;
use crate::plan::{OwnerPlan, Step, StepResult};
use crate::render::chart::{Outcome, Request};
use crate::secrets::{Bodies, SecretRef};
use crate::snapshot::{Changes, RepoPath, Revision};

/// Something that happened.
pub enum Event {
    /// A commit was read and loaded.
    Head(Box<Head>),
    /// Git could not be read or said something that we do not follow: last state kept, said in status.
    GitTrouble(String),
    /// Git answers again as it should.
    GitFine,
    /// What the watches of clusters tell.
    Signals(Vec<Signal>),
    /// Further kinds or clusters are watched from now on.
    Expect(Kinds),
    /// Secret bodies were fetched for an owner.
    Bodies(Owner, Result<Bodies, String>),
    /// The key for digests of secret content was read back.
    DigestKey(DigestKey),
    /// The key for digests of secret content is not there yet.
    NoDigestKey,
    /// An owner's steps were carried out.
    Done(Owner, Vec<StepResult>),
    /// Status subresources were written.
    StatusDone(Vec<(Owner, StepResult)>),
    /// The status branch moved to what we wanted, or not.
    Committed(Result<Revision, String>),
    /// The status branch as it is, with its tip: read at the start, and again after a lost race.
    StatusTree(Option<Revision>, BTreeMap<RepoPath, String>),
    /// The status branch cannot be read at the moment.
    StatusUnreadable(String),
    /// A chart was rendered, or not.
    Chart(Arc<Request>, Outcome),
    /// When the extensions of a seed last showed a sign of life, by namespace; or why that is not known.
    Heartbeats(Target, Result<BTreeMap<String, Timestamp>, String>),
    /// Whether we hold the lease.
    Lease(bool),
    /// Time passed.
    Tick,
}

/// A commit, loaded.
pub struct Head {
    /// The commit.
    pub revision: Revision,
    /// What it says.
    pub landscape: Arc<Landscape>,
    /// Findings of loading and of compiling its overlays.
    pub findings: Findings,
    /// The library compiled from the built-ins and its overlays; the previous one where an overlay is broken.
    pub library: Arc<Library>,
    /// What it takes back of what came before, if anything.
    pub reverts: Option<Reverts>,
}

/// Something to do.
pub enum Effect {
    /// Fetch these Secret bodies.
    FetchBodies(Owner, BTreeSet<SecretRef>),
    /// Read the key for digests of secret content.
    FetchDigestKey(SecretRef),
    /// Carry out an owner's frontier.
    Execute(Arc<OwnerPlan>),
    /// Write status subresources in the garden.
    PatchStatus(Vec<(Owner, Step)>),
    /// Commit to the status branch.
    Commit {
        /// The files.
        changes: Changes,
        /// First line of the message.
        subject: String,
        /// Trailers.
        trailers: Vec<(String, String)>,
    },
    /// Render a chart.
    RenderChart(Arc<Request>),
    /// Ask a seed for its extensions' signs of life.
    ReadHeartbeats(Target),
    /// Read the status branch.
    ReadStatus,
    /// Reach these clusters too: seeds that the garden knows, and the landscape no more.
    Connect(BTreeSet<Target>),
    /// Watch these kinds too: earlier libraries wrote them. `(in the garden, apiVersion, kind)`.
    Follow(BTreeSet<(bool, String, String)>),
}
