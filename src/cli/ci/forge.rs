//! How each forge is asked for the comments on a pull request, and how one is written: methods, paths, bodies. No network here.

use http::Method;
use serde_json::{Value, json};

use crate::config::Forge;
use crate::print::preview::Dialect;

/// Comments that are asked for at once.
const PAGE: usize = 100;

/// What a forge takes in a comment, less a tenth: in bytes, of which there are never fewer than characters.
pub(super) const fn limit(forge: Forge) -> usize {
    let most = match forge {
        // Gitea names no limit; its oldest column holds as much.
        Forge::Github | Forge::Gitea => 65_535,
        Forge::Gitlab => 1_000_000,
        Forge::Bitbucket => 32_768,
    };
    most / 10 * 9
}

/// What a forge makes of Markdown.
pub(super) const fn dialect(forge: Forge) -> Dialect {
    match forge {
        Forge::Github | Forge::Gitlab | Forge::Gitea => Dialect::Html,
        Forge::Bitbucket => Dialect::Plain,
    }
}

/// The comments on one pull request.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    pub(super) forge: Forge,
    /// The root of the API, without a slash at its end.
    pub(super) api: String,
    /// The project as it stands in paths.
    pub(super) project: String,
    /// The number of the pull request.
    pub(super) number: String,
}

/// A comment that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) id: String,
    pub(super) author: String,
    pub(super) text: String,
}

impl Thread {
    /// A project's name as it stands in paths; `None` if it cannot be one.
    pub(super) fn project(forge: Forge, name: &str) -> Option<String> {
        let part = |part: &str| {
            !part.is_empty()
                && !part.chars().all(|c| c == '.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let parts: Vec<&str> = name.split('/').collect();
        let known = parts.iter().all(|p| part(p)) && (forge == Forge::Gitlab || parts.len() == 2);
        known.then(|| if forge == Forge::Gitlab { parts.join("%2F") } else { name.to_owned() })
    }

    /// The pull request itself.
    pub(super) fn request(&self) -> String {
        let Self { api, project, number, .. } = self;
        match self.forge {
            Forge::Github | Forge::Gitea => format!("{api}/repos/{project}/pulls/{number}"),
            Forge::Gitlab => format!("{api}/projects/{project}/merge_requests/{number}"),
            Forge::Bitbucket => format!("{api}/repositories/{project}/pullrequests/{number}"),
        }
    }

    /// The commit that the pull request is at, from what the forge answers about it; Bitbucket tells only its beginning.
    pub(super) fn head(&self, answer: &Value) -> String {
        let pointer = match self.forge {
            Forge::Github | Forge::Gitea => "/head/sha",
            Forge::Gitlab => "/sha",
            Forge::Bitbucket => "/source/commit/hash",
        };
        text(answer, pointer)
    }

    fn comments(&self) -> String {
        let Self { api, project, number, .. } = self;
        match self.forge {
            Forge::Github | Forge::Gitea => format!("{api}/repos/{project}/issues/{number}/comments"),
            Forge::Gitlab => format!("{}/notes", self.request()),
            Forge::Bitbucket => format!("{}/comments", self.request()),
        }
    }

    /// A page of comments, from 1, oldest first.
    pub(super) fn list(&self, page: usize) -> String {
        let comments = self.comments();
        match self.forge {
            Forge::Github => format!("{comments}?per_page={PAGE}&page={page}"),
            // All of them at once.
            Forge::Gitea => comments,
            Forge::Gitlab => format!("{comments}?sort=asc&per_page={PAGE}&page={page}"),
            Forge::Bitbucket => format!("{comments}?pagelen={PAGE}&page={page}"),
        }
    }

    /// The comments of a page, and whether there is a page after it.
    pub(super) fn listed(&self, answer: &Value) -> (Vec<Comment>, bool) {
        let (list, author, body) = match self.forge {
            Forge::Github | Forge::Gitea => (answer, "/user/login", "/body"),
            Forge::Gitlab => (answer, "/author/username", "/body"),
            Forge::Bitbucket => (&answer["values"], "/user/uuid", "/content/raw"),
        };
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let comment = |one: &Value| Comment { id: one["id"].to_string(), author: text(one, author), text: text(one, body) };
        let more = match self.forge {
            Forge::Gitea => false,
            Forge::Github | Forge::Gitlab => list.len() >= PAGE,
            Forge::Bitbucket => answer["next"].is_string(),
        };
        (list.iter().filter(|one| one["id"].is_u64()).map(comment).collect(), more)
    }

    /// How a comment is made.
    pub(super) fn create(&self) -> (Method, String) {
        (Method::POST, self.comments())
    }

    /// How a comment is changed.
    pub(super) fn edit(&self, id: &str) -> (Method, String) {
        let Self { api, project, .. } = self;
        match self.forge {
            Forge::Github | Forge::Gitea => (Method::PATCH, format!("{api}/repos/{project}/issues/comments/{id}")),
            Forge::Gitlab | Forge::Bitbucket => (Method::PUT, format!("{}/{id}", self.comments())),
        }
    }

    /// A comment's text as the forge wants it.
    pub(super) fn body(&self, text: &str) -> Value {
        match self.forge {
            Forge::Github | Forge::Gitea | Forge::Gitlab => json!({ "body": text }),
            Forge::Bitbucket => json!({ "content": { "raw": text } }),
        }
    }

    /// Where it is told whom a token belongs to.
    pub(super) fn myself(&self) -> String {
        format!("{}/user", self.api)
    }

    /// Whom a token belongs to, as comments name their authors.
    pub(super) fn login(&self, answer: &Value) -> String {
        text(
            answer,
            match self.forge {
                Forge::Github | Forge::Gitea => "/login",
                Forge::Gitlab => "/username",
                Forge::Bitbucket => "/uuid",
            },
        )
    }

    /// Who comments where the token of a job may not ask whose it is.
    pub(super) const fn robot(&self) -> Option<&'static str> {
        match self.forge {
            Forge::Github => Some("github-actions[bot]"),
            Forge::Gitlab | Forge::Gitea | Forge::Bitbucket => None,
        }
    }

    /// The header that carries a token.
    pub(super) fn header(&self, token: &str) -> (&'static str, String) {
        match self.forge {
            Forge::Github | Forge::Bitbucket => ("authorization", format!("Bearer {token}")),
            Forge::Gitea => ("authorization", format!("token {token}")),
            Forge::Gitlab => ("private-token", token.to_owned()),
        }
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
