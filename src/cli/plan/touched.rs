//! Which files of a work tree somebody touched: what the system says of the folders that a landscape is read from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::cli::read;

/// How long it is quiet before what was touched is read: an editor writes a file in several steps.
const QUIET: Duration = Duration::from_millis(10);
/// When so many paths were touched, everything is read again.
const MANY: usize = 1_000;

/// What was touched.
#[derive(Debug, PartialEq)]
pub(super) enum Touched {
    /// These paths.
    Paths(BTreeSet<PathBuf>),
    /// Nobody knows what.
    Anything,
}

/// A running watch of a landscape's folder; ends when dropped.
pub(super) struct Watch {
    root: PathBuf,
    watcher: RecommendedWatcher,
    shared: Arc<Shared>,
}

struct Shared {
    touched: Mutex<Touched>,
    signal: Notify,
}

impl Shared {
    fn note(&self, event: notify::Result<notify::Event>) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        match (event, &mut *touched) {
            (Ok(event), _) if event.kind.is_access() => return,
            (Ok(event), Touched::Paths(paths)) if !event.need_rescan() && paths.len() < MANY => paths.extend(event.paths),
            _ => *touched = Touched::Anything,
        }
        self.signal.notify_one();
    }
}

impl Watch {
    /// Watches what is read of a landscape's folder.
    pub(super) fn start(root: &Path) -> anyhow::Result<Self> {
        let root = root.canonicalize().with_context(|| format!("failed to open {}", root.display()))?;
        let shared = Arc::new(Shared { touched: Mutex::new(Touched::Paths(BTreeSet::new())), signal: Notify::new() });
        let noted = Arc::clone(&shared);
        let watcher = notify::recommended_watcher(move |event| noted.note(event)).context("files cannot be watched")?;
        let mut watch = Self { root, watcher, shared };
        let root = watch.root.clone();
        watch.watcher.watch(&root, RecursiveMode::NonRecursive).with_context(|| format!("failed to watch {}", root.display()))?;
        for folder in read::CLAIMED {
            watch.folder(&root.join(folder))?;
        }
        Ok(watch)
    }

    fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        if folder.is_dir() {
            let failed = || format!("failed to watch {}", folder.display());
            self.watcher.watch(folder, RecursiveMode::Recursive).with_context(failed)?;
        }
        Ok(())
    }

    /// Waits until something was touched, and for a moment of quiet.
    pub(super) async fn touched(&mut self) -> anyhow::Result<Touched> {
        self.shared.signal.notified().await;
        while tokio::time::timeout(QUIET, self.shared.signal.notified()).await.is_ok() {}
        let none = Touched::Paths(BTreeSet::new());
        let touched = std::mem::replace(&mut *self.shared.touched.lock().unwrap_or_else(PoisonError::into_inner), none);
        let Touched::Paths(paths) = touched else { return Ok(Touched::Anything) };
        let mut ours = BTreeSet::new();
        for path in paths {
            let Ok(below) = path.strip_prefix(&self.root) else { continue };
            if below.to_str().is_none_or(|below| !read::is_claimed(below)) {
                continue;
            }
            if below.components().count() == 1 && path.is_dir() {
                // A folder that was not there when the watch began.
                self.folder(&path)?;
                return Ok(Touched::Anything);
            }
            ours.insert(below.to_owned());
        }
        Ok(Touched::Paths(ours))
    }
}
