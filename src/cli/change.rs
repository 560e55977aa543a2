//! One file of a landscape changed by a command: as a commit on its branch, or on a proposal branch; in the work tree, where that
//! is what has the branch checked out.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::read::Source;
use super::{Context, read};
use crate::git::{GitError, Message, Repo};
use crate::landscape::{self, FileMemo, Landscape};
use crate::snapshot::{Changes, RepoPath, Revision, Snapshot};

/// How a change is committed.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// Commit to this branch, made where the landscape's branch is, as a proposal [default: the landscape's branch]
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// First line of the commit's message
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// Print the file as it would be, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Where a change goes.
pub(super) struct Base {
    repo: Repo,
    /// Full name of the branch that the change goes to.
    reference: String,
    /// Where that branch, or the landscape's, is.
    revision: Revision,
    /// Whether the branch is there.
    there: bool,
    /// The landscape's folder on the branch; empty, or ending in `/`.
    prefix: String,
    /// Its files there.
    snapshot: Snapshot,
    /// Where its files lie, if the branch is checked out around the working directory.
    work_tree: Option<PathBuf>,
    /// The landscape.
    pub(super) landscape: Landscape,
    /// How.
    how: How,
}

/// What was written where.
pub(super) struct Written {
    /// For a person.
    pub(super) text: String,
}

impl Base {
    /// Finds the branch of the landscape that is meant, and reads what is there.
    pub(super) async fn find(context: &Context, how: How) -> anyhow::Result<Self> {
        let settings = &context.settings;
        let repo = read::repository(settings).await?;
        let name = match &settings.global.landscape {
            Some(name) => name.clone(),
            None => read::read(read::source(context).await?).not_empty()?.landscape.name,
        };
        let main = format!("refs/heads/landscape/{name}");
        let Some(start) = repo.resolve(&main).await? else { bail!("there is no branch landscape/{name} in {}", repo.location()) };
        let reference = match &how.branch {
            Some(branch) if branch.starts_with("refs/") => branch.clone(),
            Some(branch) => format!("refs/heads/{branch}"),
            None => main,
        };
        let tip = repo.resolve(&reference).await?.filter(|_| reference.starts_with("refs/heads/"));
        let (there, revision) = (tip.is_some(), tip.unwrap_or(start));
        let Source { snapshot, prefix, .. } = read::commit(context, &repo, &revision.0).await?;
        let work_tree = if settings.global.repo.is_none() { read::around(Path::new("."), &settings.global.path) } else { None };
        let (landscape, _) = landscape::load(&snapshot, &mut FileMemo::default());
        Ok(Self { repo, reference, revision, there, prefix, snapshot, work_tree, landscape, how })
    }

    /// The text of a file of the landscape on the branch.
    fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(&self.snapshot.files.get(path)?.bytes).ok()
    }

    /// Writes a file whose new text is made from the one that is there.
    pub(super) async fn write(
        &self,
        context: &Context,
        path: &str,
        subject: String,
        edit: &dyn Fn(Option<&str>) -> anyhow::Result<String>,
    ) -> anyhow::Result<Written> {
        let text = edit(self.text(path))?;
        if self.how.dry_run {
            return Ok(Written { text });
        }
        let branch = self.reference.strip_prefix("refs/heads/").unwrap_or(&self.reference).to_owned();
        let changes = Changes::from([(RepoPath::from(format!("{}{path}", self.prefix)), Some(text.clone()))]);
        let message = Message { subject: self.how.message.clone().unwrap_or(subject), ..Message::default() };
        let now = read::now(&context.settings, None, None)?.as_second();
        let moved = if self.there {
            self.repo.commit(&self.reference, Some(&self.revision), changes, message, now).await
        } else {
            self.repo.propose(&self.reference, &self.revision, changes, message, now).await
        };
        match moved {
            Ok(commit) if commit == self.revision => Ok(Written { text: format!("{path} is so already on {branch}\n") }),
            Ok(commit) => Ok(Written { text: format!("Committed {path} to {branch}: {}\n{text}", commit.short()) }),
            Err(GitError::CheckedOut { .. }) => self.beside(path, &branch, edit),
            Err(error) => {
                let raced = matches!(error, GitError::Raced { .. });
                let error = anyhow::Error::from(error);
                Err(if raced {
                    error.context("somebody else moved the branch meanwhile; nothing was written: do it again")
                } else {
                    error
                })
            }
        }
    }

    /// Writes into the work tree that has the branch checked out: a commit behind its back would look like an edit there.
    fn beside(&self, path: &str, branch: &str, edit: &dyn Fn(Option<&str>) -> anyhow::Result<String>) -> anyhow::Result<Written> {
        let Some(root) = &self.work_tree else {
            bail!("{branch} is checked out in its repository: go into that folder, or say --branch NAME for a proposal");
        };
        let file = root.join(path);
        let text = edit(std::fs::read_to_string(&file).ok().as_deref())?;
        let shown = file.display().to_string();
        let shown = shown.trim_start_matches("./");
        let failed = || format!("failed to write {shown}");
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(failed)?;
        }
        std::fs::write(&file, &text).with_context(failed)?;
        Ok(Written {
            text: format!(
                "Wrote {shown}: {branch} is checked out here. It takes effect with its commit:\n  git add {shown}\n  git commit\n"
            ),
        })
    }
}
