//! One thread per repository on which libgit2 runs: its handles are not shared between threads, and its network calls cannot be
//! interrupted, so a call that takes too long costs its thread and never the daemon.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::budget::Budget;
use super::error::GitError;
use super::remote::Origin;

/// What a job works on.
pub(super) struct Worker {
    pub(super) repository: git2::Repository,
    /// `None` for a local repository.
    pub(super) origin: Option<Origin>,
    /// Contents of blobs that the latest snapshot of each root used.
    pub(super) blobs: HashMap<String, HashMap<git2::Oid, Arc<[u8]>>>,
    /// How much is read.
    pub(super) budget: Budget,
    /// Set when the caller gave up; network callbacks look at it.
    pub(super) cancelled: Arc<AtomicBool>,
}

type Job = Box<dyn FnOnce(&mut Worker) + Send>;
type Open = Arc<dyn Fn() -> Result<(git2::Repository, Option<Origin>), GitError> + Send + Sync>;

/// How many threads may hang in libgit2 before further calls fail at once.
const ABANDONED_LIMIT: usize = 4;

struct Running {
    jobs: mpsc::Sender<Job>,
    cancelled: Arc<AtomicBool>,
}

/// The thread, replaced by a fresh one when it hangs. It ends when the last handle is dropped.
pub(super) struct Thread {
    open: Open,
    budget: Budget,
    running: Mutex<Running>,
    abandoned: AtomicUsize,
}

impl Thread {
    pub(super) async fn start(
        open: impl Fn() -> Result<(git2::Repository, Option<Origin>), GitError> + Send + Sync + 'static,
        budget: Budget,
    ) -> Result<Self, GitError> {
        let open: Open = Arc::new(open);
        let opener = Arc::clone(&open);
        let running = tokio::task::spawn_blocking(move || spawn(&opener, budget)).await.unwrap_or(Err(GitError::Lost))?;
        Ok(Self { open, budget, running: Mutex::new(running), abandoned: AtomicUsize::new(0) })
    }

    /// Runs a job on the thread and waits for its answer.
    ///
    /// The wait itself is a blocking task of the runtime and not a timer, so that a paused clock does not run ahead of Git.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        job: impl FnOnce(&mut Worker) -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        if self.abandoned.load(Ordering::Relaxed) >= ABANDONED_LIMIT {
            return Err(GitError::TimedOut(limit.as_secs()));
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let (jobs, cancelled) = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            (running.jobs.clone(), Arc::clone(&running.cancelled))
        };
        let job: Job = Box::new(move |worker| {
            let result = job(worker);
            if reply.send(result).is_err() {
                tracing::debug!("nobody waits for the answer of git any more");
            }
        });
        jobs.send(job).map_err(|_| GitError::Lost)?;
        drop(jobs);
        let waited = tokio::task::spawn_blocking(move || answer.recv_timeout(limit)).await.map_err(|_| GitError::Lost)?;
        match waited {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(GitError::Lost),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                cancelled.store(true, Ordering::Relaxed);
                self.replace().await?;
                Err(GitError::TimedOut(limit.as_secs()))
            }
        }
    }

    /// Leaves a hanging thread to itself and starts another.
    async fn replace(&self) -> Result<(), GitError> {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
        let opener = Arc::clone(&self.open);
        let budget = self.budget;
        let fresh = tokio::task::spawn_blocking(move || spawn(&opener, budget)).await.unwrap_or(Err(GitError::Lost))?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

fn spawn(open: &Open, budget: Budget) -> Result<Running, GitError> {
    let (repository, origin) = open()?;
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut worker = Worker { repository, origin, blobs: HashMap::new(), budget, cancelled: Arc::clone(&cancelled) };
    let (jobs, inbox) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("git".to_owned())
        .spawn(move || {
            for job in inbox {
                // A panic is a bug of ours in one job; the sender of the answer is dropped with it and the caller sees `Lost`.
                if catch_unwind(AssertUnwindSafe(|| job(&mut worker))).is_err() {
                    tracing::error!("a piece of work on the repository panicked");
                }
            }
        })
        .map_err(|_| GitError::Lost)?;
    Ok(Running { jobs, cancelled })
}
