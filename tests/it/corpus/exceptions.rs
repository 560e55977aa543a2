//! Classes of cases in which espalier differs on purpose, with the reason. They count as disagreement, and are told beside it.

use serde::Deserialize;

use super::replay::Outcome;

#[derive(Deserialize)]
pub(super) struct Exceptions {
    pub classes: Vec<Class>,
}

/// A class: disagreements in which one of these codes was raised, or with one of these ids.
#[derive(Deserialize)]
pub(super) struct Class {
    pub name: String,
    pub reason: String,
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    ids: Vec<String>,
}

impl Exceptions {
    pub(super) fn read() -> Self {
        serde_yaml::from_str(include_str!("exceptions.yaml")).expect("the exceptions can be read")
    }

    /// The class of a disagreement.
    pub(super) fn class_of(&self, outcome: &Outcome) -> Option<&Class> {
        let fits =
            |class: &&Class| class.ids.contains(&outcome.id) || class.codes.iter().any(|code| outcome.codes.contains(code));
        self.classes.iter().find(fits)
    }
}
