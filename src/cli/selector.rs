//! Selectors: how people name objects on the command line.

use std::fmt;
use std::str::FromStr;

use super::explain::kind_of;
use crate::landscape::{Kind, Owner};

/// `shop/prod`, `shop/*`, `shoot/shop/prod`, `seed/aws-eu1`, `garden`.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    text: String,
    kind: Option<Kind>,
    project: Option<String>,
    name: String,
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err("a selector is PROJECT/SHOOT, KIND/NAME or KIND/PROJECT/NAME; `*` stands for any name".to_owned());
        }
        let of = |kind: Option<Kind>, project: Option<&str>, name: &str| {
            Ok(Self { text: text.to_owned(), kind, project: project.map(str::to_owned), name: name.to_owned() })
        };
        match parts.as_slice() {
            ["garden"] => of(Some(Kind::Landscape), None, "*"),
            [name] => of(None, None, name),
            [kind, name] if kind_of(kind).is_some() => of(kind_of(kind), None, name),
            [project, name] => of(Some(Kind::Shoot), Some(project), name),
            [kind, project, name] => match kind_of(kind) {
                Some(kind) => of(Some(kind), Some(project), name),
                None => Err(format!("`{kind}` is not a kind of object in a landscape")),
            },
            _ => Err("a selector has at most three parts".to_owned()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Selector {
    /// The one name that objects must have; `None` if it is a pattern.
    pub(super) fn exact_name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| !name.contains('*'))
    }

    /// Whether an owner is meant.
    pub(super) fn matches(&self, owner: &Owner) -> bool {
        self.kind.is_none_or(|kind| kind == owner.kind)
            && self.project.as_ref().is_none_or(|project| glob(project, &owner.project))
            && glob(&self.name, &owner.name)
    }
}

/// Whether an owner is among those that are asked for: all, if nobody says which.
pub(super) fn wanted(selectors: &[Selector], owner: &Owner) -> bool {
    selectors.is_empty() || named(selectors, owner)
}

/// Whether an owner is asked for by name.
pub(super) fn named(selectors: &[Selector], owner: &Owner) -> bool {
    selectors.iter().any(|selector| selector.matches(owner))
}

/// The word by which an owner is selected: `shoot/shop/prod`.
pub(super) fn word(owner: &Owner) -> String {
    format!("{}/{}", owner.kind.name().to_lowercase(), owner.key())
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_mean_what_they_say() {
        let prod = Owner::project(Kind::Shoot, "shop", "prod");
        let seed = Owner::cluster(Kind::Seed, "eu1");
        let meant = |text: &str| {
            let selector: Selector = text.parse().expect("it is a selector");
            (selector.matches(&prod), selector.matches(&seed))
        };
        assert_eq!(meant("shop/prod"), (true, false));
        assert_eq!(meant("shop/*"), (true, false));
        assert_eq!(meant("*/p*d"), (true, false));
        assert_eq!(meant("shoot/shop/prod"), (true, false));
        assert_eq!(meant("shoot/prod"), (true, false));
        assert_eq!(meant("seed/eu1"), (false, true));
        assert_eq!(meant("eu1"), (false, true));
        assert_eq!(meant("lab/prod"), (false, false));
        assert!("a//b".parse::<Selector>().is_err());
    }
}
