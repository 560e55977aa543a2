//! A signal when references of a local repository may have moved. Only a hint: the reader resolves and compares.

use std::path::Path;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::error::GitError;

/// A running watch; ends when dropped.
pub struct Watch {
    signals: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    pub(super) fn start(folder: &Path) -> Result<Self, GitError> {
        let failed = |source| GitError::Watch { path: folder.to_owned(), source };
        // One place suffices: signals that nobody has taken yet merge.
        let (sender, signals) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let reads_only = event.is_ok_and(|event| event.kind.is_access());
            if !reads_only && let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                tracing::debug!("a watch of references outlived its reader");
            }
        })
        .map_err(failed)?;
        // `packed-refs` and HEAD are replaced in the folder itself; objects are not below `refs` and stay out of it.
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed)?;
        watcher.watch(&folder.join("refs"), RecursiveMode::Recursive).map_err(failed)?;
        Ok(Self { signals, _watcher: watcher })
    }

    /// Waits for the next signal.
    pub async fn changed(&mut self) {
        if self.signals.recv().await.is_none() {
            // The system's watcher died: nothing will be signalled any more, and polling takes over.
            std::future::pending::<()>().await;
        }
    }
}
