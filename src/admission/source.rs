//! Where rules come from: Gardener's static validation, one of its admission plugins, or espalier itself.

use std::collections::BTreeMap;

/// Who asks for a rule, and so when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Gardener's static validation: needs nothing but the object and what was accepted before.
    Static,
    /// The admission plugin of this name: may look at other objects.
    Plugin(&'static str),
    /// Only espalier: Gardener would accept.
    Espalier,
}

impl Source {
    /// The plugin's name.
    pub(crate) const fn plugin(self) -> Option<&'static str> {
        match self {
            Self::Plugin(name) => Some(name),
            Self::Static | Self::Espalier => None,
        }
    }

    /// How much has to be looked at for rules of this source to be among it.
    pub(crate) const fn extent(self) -> Extent {
        match self {
            Self::Static => Extent::Static,
            Self::Plugin(_) => Extent::Gardener,
            Self::Espalier => Extent::Everything,
        }
    }

    /// Where rules of this source stand in line: static validation, then the plugins in Gardener's order, then our own.
    pub(super) fn rank(self) -> usize {
        match self {
            Self::Static => 0,
            Self::Plugin(name) => 1 + PLUGINS.iter().position(|plugin| *plugin == name).unwrap_or(PLUGINS.len()),
            Self::Espalier => PLUGINS.len() + 2,
        }
    }
}

/// Gardener's admission plugins that refuse objects, in the order in which it asks them.
const PLUGINS: &[&str] = &[
    "ResourceReferenceManager",
    "ExtensionValidator",
    "ShootTolerationRestriction",
    "ShootExposureClass",
    "ShootDNS",
    "ShootManagedSeed",
    "ManagedSeedShoot",
    "ManagedSeed",
    "ShootQuotaValidator",
    "ShootMutator",
    "ShootValidator",
    "SeedValidator",
    "ControllerRegistrationResources",
    "NamespacedCloudProfileValidator",
    "ProjectValidator",
    "DeletionConfirmation",
    "CustomVerbAuthorizer",
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
