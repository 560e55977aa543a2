//! Files that only their owner may read: they hold keys and tokens.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Writes a file with mode 0600, whole or not at all; one that is there is replaced, whatever its mode was.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("failed to write {}", path.display());
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    // A draft that is left of before may have another mode.
    if let Err(error) = std::fs::remove_file(draft)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(failed);
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft).with_context(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(failed)?;
    std::fs::rename(draft, path).with_context(failed)
}
