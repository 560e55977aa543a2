//! How much is read from a repository: more is a mistake or an attack, never a landscape.

use crate::snapshot;

/// The most that is taken of a fetch and of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of the pack that one fetch brings.
    pub pack: usize,
    /// Entries of all folders of a snapshot. A tree may name one subtree many times.
    pub entries: usize,
    /// Bytes of a path.
    pub path: usize,
    /// Folders inside each other.
    pub depth: usize,
    /// Bytes of a file; a longer one is not read, and is a finding where a file belongs.
    pub file: usize,
    /// Bytes of all files of a snapshot.
    pub all: usize,
}

impl Default for Budget {
    /// One gibibyte fetched, 200 000 entries, paths of 1 024 bytes, 64 folders deep, 2 MiB a file, one gibibyte in all.
    fn default() -> Self {
        Self { pack: 1 << 30, entries: 200_000, path: 1_024, depth: 64, file: snapshot::MAX_FILE_BYTES, all: 1 << 30 }
    }
}
