//! What a CI runner says of itself in the environment: which forge it works for, and where the pull request is.

use std::path::PathBuf;

use clap::ValueEnum;

use super::variable;

/// A forge that comments are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Forge {
    /// github.com or GitHub Enterprise Server.
    Github,
    /// gitlab.com or GitLab of one's own.
    Gitlab,
    /// Gitea, and Forgejo.
    Gitea,
    /// bitbucket.org.
    Bitbucket,
}

/// Where a pull request is, as far as it is known.
#[derive(Clone, Default)]
pub struct Place {
    /// The root of the forge's API.
    pub api: Option<String>,
    /// The project, as the API wants it in paths: `owner/name`, GitLab's number.
    pub project: Option<String>,
    /// The number of the pull or merge request.
    pub number: Option<u64>,
    /// A token for the API.
    pub token: Option<String>,
}

/// What is known of the runner.
#[derive(Debug, Clone, Default)]
pub struct Runner {
    /// The forge that it belongs to.
    pub forge: Option<Forge>,
    /// The file to which a summary of the job is appended, on GitHub and Gitea.
    pub summary: Option<PathBuf>,
}

impl Runner {
    pub(super) fn read() -> Self {
        let is = |name| variable(name).is_some();
        let forge = match () {
            // Gitea's runner says that it is GitHub's, too.
            () if is("GITEA_ACTIONS") || is("FORGEJO_ACTIONS") => Some(Forge::Gitea),
            () if is("GITHUB_ACTIONS") => Some(Forge::Github),
            () if is("GITLAB_CI") => Some(Forge::Gitlab),
            () if is("BITBUCKET_BUILD_NUMBER") => Some(Forge::Bitbucket),
            () => None,
        };
        Self { forge, summary: variable("GITHUB_STEP_SUMMARY").map(PathBuf::from) }
    }
}

impl Forge {
    /// Where the pull request of this job is, by the variables of the forge's own runner. `ESPALIER_FORGE_TOKEN` comes before its
    /// token.
    #[must_use]
    pub fn place(self) -> Place {
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let (api, project, number, tokens): (_, _, _, &[&str]) = match self {
            Self::Github | Self::Gitea => (
                variable("GITHUB_API_URL"),
                variable("GITHUB_REPOSITORY"),
                // `refs/pull/7/merge`
                variable("GITHUB_REF").and_then(|name| name.strip_prefix("refs/pull/")?.split('/').next().map(str::to_owned)),
                &["ESPALIER_FORGE_TOKEN", "GITHUB_TOKEN"],
            ),
            Self::Gitlab => (
                variable("CI_API_V4_URL"),
                variable("CI_PROJECT_ID"),
                variable("CI_MERGE_REQUEST_IID"),
                &["ESPALIER_FORGE_TOKEN", "GITLAB_TOKEN"],
            ),
            Self::Bitbucket => (
                None,
                variable("BITBUCKET_REPO_FULL_NAME"),
                variable("BITBUCKET_PR_ID"),
                &["ESPALIER_FORGE_TOKEN", "BITBUCKET_TOKEN"],
            ),
        };
        let usual = match self {
            Self::Github => Some("https://api.github.com"),
            Self::Gitlab => Some("https://gitlab.com/api/v4"),
            Self::Bitbucket => Some("https://api.bitbucket.org/2.0"),
            Self::Gitea => None,
        };
        Place {
            api: api.or_else(|| usual.map(str::to_owned)),
            project,
            number: number.and_then(|text| text.parse().ok()),
            token: first(tokens),
        }
    }
}
