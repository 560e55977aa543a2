//! Who may do what in Gardener needs a right of its own.
//!
//! Gardener asks its authorizer about the user behind a request. In Git there is no such user: a change was written by the
//! author of a commit, reviewed by the owners of the path that it lies at, and merged by somebody whom the forge let merge. So
//! by default whoever can bring a change into the branch may do all of it, and rights are given by path, before admission sees
//! anything (protected branches, `CODEOWNERS`). Where that is not enough, [`World::under`](super::World::under) puts a stricter
//! answer in this place.

use crate::landscape::Owner;

/// What needs a right of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Choosing the seed of a new shoot.
    Bind,
    /// Giving a shoot other credentials, which are read to compare them.
    ReadCredentials,
    /// Saying which taints the shoots of a project may tolerate.
    ModifyTolerationsWhitelist,
    /// Adding people to a project, or removing them.
    ManageMembers,
    /// Moving expirations of Kubernetes versions in a namespaced cloud profile.
    ModifyKubernetes,
    /// Changing machine images in a namespaced cloud profile.
    ModifyMachineImages,
    /// Changing what only the provider understands in a namespaced cloud profile.
    ModifyProviderConfig,
    /// Making a shoot host its own control plane.
    MarkSelfHosted,
}

impl Deed {
    /// What Gardener calls the right.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Bind => "update shoots/binding",
            Self::ReadCredentials => "get secrets",
            Self::ModifyTolerationsWhitelist => "modify-spec-tolerations-whitelist",
            Self::ManageMembers => "manage-members",
            Self::ModifyKubernetes => "modify-spec-kubernetes",
            Self::ModifyMachineImages => "modify-spec-machineimages",
            Self::ModifyProviderConfig => "modify-spec-providerconfig",
            Self::MarkSelfHosted => "mark-self-hosted",
        }
    }
}

/// Answers whether whoever changed an object may do a deed; if not, why.
#[derive(Debug, Clone, Copy)]
pub struct Authority(pub fn(&Owner, Deed) -> Result<(), String>);

impl Authority {
    /// Whether the deed is allowed.
    pub(crate) fn allows(self, owner: &Owner, deed: Deed) -> Result<(), String> {
        (self.0)(owner, deed)
    }
}

impl Default for Authority {
    /// Whoever can merge may do everything.
    fn default() -> Self {
        Self(|_, _| Ok(()))
    }
}
