//! Which files are claimed, and what may be in them (`design` §2).

use super::Kind;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path<'a> {
    /// `landscape.yaml`.
    Landscape,
    /// A file of manifests in a folder of cluster-wide kinds.
    Folder(Folder),
    /// A file of manifests below `projects/<project>/`, with the rest of the path.
    Project {
        /// The project.
        project: &'a str,
        /// The folder below, or the file's name for files directly there.
        part: &'a str,
    },
    /// A file laid over what is built in.
    Overlay,
    /// None of our business.
    Other,
}

/// A folder of cluster-wide kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    /// `cloudprofiles/`
    CloudProfiles,
    /// `seeds/`
    Seeds,
    /// `extensions/`
    Extensions,
    /// `operations/`
    Operations,
    /// `acknowledgements/`
    Acknowledgements,
}

/// Sorts a path.
pub(super) fn sort(path: &str) -> Path<'_> {
    if path == "landscape.yaml" {
        return Path::Landscape;
    }
    let Some((folder, rest)) = path.split_once('/') else { return Path::Other };
    if matches!(folder, "policies" | "templates" | "schemas") {
        return Path::Overlay;
    }
    if !is_yaml(rest) {
        return Path::Other;
    }
    match folder {
        "cloudprofiles" => Path::Folder(Folder::CloudProfiles),
        "seeds" => Path::Folder(Folder::Seeds),
        "extensions" => Path::Folder(Folder::Extensions),
        "operations" => Path::Folder(Folder::Operations),
        "acknowledgements" => Path::Folder(Folder::Acknowledgements),
        "projects" => match rest.split_once('/') {
            Some((project, below)) => {
                let part = below.split_once('/').map_or(below, |(part, _)| part);
                Path::Project { project, part }
            }
            None => Path::Project { project: "", part: rest },
        },
        _ => Path::Other,
    }
}

/// Whether a link of this name would stand for a claimed file or for a folder of them.
pub(super) fn claims(path: &str) -> bool {
    const FOLDERS: &[&str] = &[
        "acknowledgements",
        "cloudprofiles",
        "seeds",
        "extensions",
        "operations",
        "projects",
        "policies",
        "templates",
        "schemas",
    ];
    if FOLDERS.contains(&path) || sort(path) != Path::Other {
        return true;
    }
    let below = path.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder));
    let name = path.rsplit('/').next().unwrap_or(path);
    below && !name.contains('.')
}

fn is_yaml(name: &str) -> bool {
    let extension = std::path::Path::new(name).extension();
    extension.is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"))
}

/// Where objects of a kind belong, as a person would write it.
pub(super) fn home(kind: Kind, project: &str) -> String {
    let project = if project.is_empty() { "<project>" } else { project };
    match kind {
        Kind::Landscape => "landscape.yaml".to_owned(),
        Kind::CloudProfile | Kind::NamespacedCloudProfile => "cloudprofiles/".to_owned(),
        Kind::Seed | Kind::ManagedSeed => "seeds/".to_owned(),
        Kind::ControllerDeployment | Kind::ControllerRegistration | Kind::ExposureClass => "extensions/".to_owned(),
        Kind::Operation => "operations/".to_owned(),
        Kind::Project => format!("projects/{project}/project.yaml"),
        Kind::Shoot => format!("projects/{project}/shoots/"),
        Kind::Quota | Kind::WorkloadIdentity | Kind::SecretBinding | Kind::CredentialsBinding => {
            format!("projects/{project}/credentials/")
        }
    }
}

/// Whether objects of a kind belong at a path.
pub(super) fn is_home(kind: Kind, path: Path<'_>) -> bool {
    match (kind, path) {
        (Kind::Landscape, Path::Landscape)
        | (Kind::CloudProfile | Kind::NamespacedCloudProfile, Path::Folder(Folder::CloudProfiles))
        | (Kind::Seed | Kind::ManagedSeed, Path::Folder(Folder::Seeds))
        | (Kind::ControllerDeployment | Kind::ControllerRegistration | Kind::ExposureClass, Path::Folder(Folder::Extensions))
        | (Kind::Operation, Path::Folder(Folder::Operations)) => true,
        (Kind::Project, Path::Project { part, .. }) => part == "project.yaml" || part == "project.yml",
        (Kind::Shoot, Path::Project { part, .. }) => part == "shoots",
        (Kind::Quota | Kind::WorkloadIdentity | Kind::SecretBinding | Kind::CredentialsBinding, Path::Project { part, .. }) => {
            part == "credentials"
        }
        _ => false,
    }
}
