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

impl How {
    /// Whether anything is said of how to commit.
    pub(super) const fn is_said(&self) -> bool {
        self.branch.is_some() || self.message.is_some() || self.dry_run
    }
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

/// Makes the new text of a file from the one that is there.
pub(super) type NewText<'a> = dyn Fn(Option<&str>) -> anyhow::Result<String> + 'a;

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

    /// The landscape with some files as they would be.
    pub(super) fn with(&self, files: &[(&str, &NewText<'_>)]) -> anyhow::Result<Source> {
        let mut snapshot = self.snapshot.clone();
        for (path, edit) in files {
            let text = edit(self.text(path))?;
            snapshot.files.insert((*path).into(), read::file(text.as_bytes()));
        }
        Ok(Source { snapshot, from: self.branch().to_owned(), prefix: self.prefix.clone() })
    }

    /// The landscape as it is on the branch.
    pub(super) fn source(&self) -> Source {
        Source { snapshot: self.snapshot.clone(), from: self.branch().to_owned(), prefix: self.prefix.clone() }
    }

    /// The branch's name as people say it.
    fn branch(&self) -> &str {
        self.reference.strip_prefix("refs/heads/").unwrap_or(&self.reference)
    }

    /// Writes a file whose new text is made from the one that is there.
    pub(super) async fn write(
        &self,
        context: &Context,
        path: &str,
        subject: String,
        edit: &NewText<'_>,
    ) -> anyhow::Result<Written> {
        self.write_all(context, &[(path, edit)], Message { subject, ..Message::default() }).await
    }

    /// Writes files whose new texts are made from those that are there, all in one commit.
    pub(super) async fn write_all(
        &self,
        context: &Context,
        files: &[(&str, &NewText<'_>)],
        mut message: Message,
    ) -> anyhow::Result<Written> {
        let texts: Vec<(&str, String)> =
            files.iter().map(|(path, edit)| Ok((*path, edit(self.text(path))?))).collect::<anyhow::Result<_>>()?;
        let shown: String = texts.iter().map(|(_, text)| text.as_str()).collect();
        if self.how.dry_run {
            return Ok(Written { text: shown });
        }
        let branch = self.branch().to_owned();
        let changes: Changes =
            texts.into_iter().map(|(path, text)| (RepoPath::from(format!("{}{path}", self.prefix)), Some(text))).collect();
        if let Some(said) = &self.how.message {
            message.subject.clone_from(said);
        }
        let names = files.iter().map(|(path, _)| *path).collect::<Vec<_>>().join(", ");
        let now = read::now(&context.settings, None, None)?.as_second();
        let moved = if self.there {
            self.repo.commit(&self.reference, Some(&self.revision), changes, message, now).await
        } else {
            self.repo.propose(&self.reference, &self.revision, changes, message, now).await
        };
        match moved {
            Ok(commit) if commit == self.revision => {
                Ok(Written { text: format!("{names} {} so already on {branch}\n", if files.len() == 1 { "is" } else { "are" }) })
            }
            Ok(commit) => Ok(Written { text: format!("Committed {names} to {branch}: {}\n{shown}", commit.short()) }),
            Err(GitError::CheckedOut { .. }) => self.beside(files, &branch),
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
    fn beside(&self, files: &[(&str, &NewText<'_>)], branch: &str) -> anyhow::Result<Written> {
        let Some(root) = &self.work_tree else {
            bail!("{branch} is checked out in its repository: go into that folder, or say --branch NAME for a proposal");
        };
        let mut texts = Vec::new();
        for (path, edit) in files {
            let file = root.join(path);
            let before = std::fs::read_to_string(&file).ok();
            let text = edit(before.as_deref())?;
            if before.as_ref() != Some(&text) {
                texts.push((file, text));
            }
        }
        if texts.is_empty() {
            let names = files.iter().map(|(path, _)| *path).collect::<Vec<_>>().join(", ");
            let are = if files.len() == 1 { "is" } else { "are" };
            return Ok(Written { text: format!("{names} {are} so already; {branch} is checked out here\n") });
        }
        let mut names = Vec::new();
        for (file, text) in texts {
            let shown = file.display().to_string();
            let shown = shown.trim_start_matches("./").to_owned();
            let failed = || format!("failed to write {shown}");
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).with_context(failed)?;
            }
            std::fs::write(&file, &text).with_context(failed)?;
            names.push(shown);
        }
        let names = names.join(" ");
        Ok(Written {
            text: format!(
                "Wrote {names}: {branch} is checked out here. It takes effect with its commit:\n  git add {names}\n  git commit\n"
            ),
        })
    }
}
