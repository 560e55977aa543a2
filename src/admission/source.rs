//! Where rules come from: Gardener's static validation, one of its admission plugins, or espalier itself.

use std::collections::BTreeMap;

/// Who asks for a rule, and so when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Gardener's static validation: needs nothing but the object and what was accepted before.
    Static,
    /// The admission plugin of this name, before static validation: what it cannot fill in, because something else is missing.
    Mutation(&'static str),
    /// The admission plugin of this name: may look at other objects.
    Plugin(&'static str),
    /// Only espalier: Gardener would accept.
    Espalier,
}

impl Source {
    /// The plugin's name.
    pub(crate) const fn plugin(self) -> Option<&'static str> {
        match self {
            Self::Mutation(name) | Self::Plugin(name) => Some(name),
            Self::Static | Self::Espalier => None,
        }
    }

    /// How much has to be looked at for rules of this source to be among it.
    pub(crate) const fn extent(self) -> Extent {
        match self {
            Self::Static => Extent::Static,
            Self::Mutation(_) | Self::Plugin(_) => Extent::Gardener,
            Self::Espalier => Extent::Everything,
        }
    }

    /// Whether rules of this source are looked at before the object is filled in.
    pub(super) const fn comes_first(self) -> bool {
        matches!(self, Self::Mutation(_))
    }

    /// Where rules of this source stand in line: what plugins need to fill in, static validation, what the plugins refuse, in
    /// Gardener's order, then our own.
    pub(super) fn rank(self) -> usize {
        let place = |name| PLUGINS.iter().position(|plugin| *plugin == name).unwrap_or(PLUGINS.len());
        match self {
            Self::Mutation(name) => place(name),
            Self::Static => PLUGINS.len() + 1,
            Self::Plugin(name) => PLUGINS.len() + 2 + place(name),
            Self::Espalier => 2 * PLUGINS.len() + 3,
        }
    }
}

/// Gardener's admission plugins that refuse objects, in the order in which it asks them.
const PLUGINS: &[&str] = &[
    "NamespaceLifecycle",
    "ResourceReferenceManager",
    "ExtensionValidator",
    "ShootTolerationRestriction",
    "ShootExposureClass",
    "ShootDNS",
    "ShootManagedSeed",
    "ShootQuotaValidator",
    "ShootMutator",
    "ShootValidator",
    "SeedValidator",
    "ControllerRegistrationResources",
    "NamespacedCloudProfileValidator",
    "ProjectValidator",
    "DeletionConfirmation",
    "FinalizerRemoval",
    "CustomVerbAuthorizer",
    "ManagedSeed",
    "ManagedSeedShoot",
    "ResourceQuota",
];

/// How much of admission an object goes through: each step includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Defaults of the API and static validation: what is known from the object alone.
    Static,
    /// With Gardener's admission plugins, which fill in and refuse by looking at other objects.
    Gardener,
    /// With what only espalier minds.
    Everything,
}

/// Feature gates of Gardener that rules ask about: those named, else their defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gates(BTreeMap<String, bool>);

/// Gates that are on unless somebody switches them off.
const ON: &[&str] = &["CloudProfileCapabilities"];

impl Gates {
    /// Reads `A=true,B=false`; what cannot be read is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let read = |gate: &str| {
            let (name, on) = gate.split_once('=')?;
            Some((name.trim().to_owned(), on.trim().parse().ok()?))
        };
        Self(text.split(',').filter_map(read).collect())
    }

    /// Whether a gate is on.
    #[must_use]
    pub fn on(&self, gate: &str) -> bool {
        self.0.get(gate).copied().unwrap_or_else(|| ON.contains(&gate))
    }
}
