//! Acknowledgements in files: whether they say what they must, and which of them are about a change. One is bound to its change by the
//! digest that a plan shows, so it acknowledges no later and no other change.

use jiff::Timestamp;

use super::guard::Acknowledged;
use super::impact::Mark;
use crate::digest::Digest;
use crate::finding::{Code, Finding, Findings};
use crate::landscape::{Acknowledgement, Landscape, Owner, Sourced};

/// What is wrong with them, and which of them are over.
#[must_use]
pub fn check(landscape: &Landscape, now: Timestamp) -> Findings {
    if landscape.acknowledgements.is_empty() {
        return Findings::default();
    }
    let known: Vec<Owner> = landscape.objects().map(|(owner, ..)| owner).chain(landscape.broken.keys().cloned()).collect();
    let mut findings = Findings::default();
    for one in &landscape.acknowledgements {
        let spec = &one.spec.spec;
        let mut error = |code: &'static str, field: &str, message: String, help: &str| {
            findings.push(Finding::error(Code::new(code), message).at(one.place(field)).help(help));
        };
        if mark(one).is_none() {
            let marks: Vec<&str> = Mark::ALL.into_iter().filter(|mark| may(*mark)).map(Mark::word).collect();
            let message = format!("`{}` is no mark that can be acknowledged", spec.mark);
            error("ACK-MARK", "/spec/mark", message, &format!("one of {}", marks.join(", ")));
        }
        if spec.change.len() != 64 || !spec.change.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            let message = "it is bound to no change".to_owned();
            error(
                "ACK-CHANGE",
                "/spec/change",
                message,
                "set `spec.change` to the digest that `espalier plan` shows with its refusal",
            );
        }
        if spec.objects.is_empty() {
            let help = "name shoots as `project/name`, all of a project as `project/*`, other objects by their names";
            error("ACK-OBJECTS", "/spec/objects", "it is about nobody".to_owned(), help);
        }
        if spec.reason.trim().is_empty() {
            error("ACK-REASON", "/spec/reason", "it gives no reason".to_owned(), "say in `spec.reason` why that is accepted");
        }
        for (index, word) in spec.objects.iter().enumerate() {
            let is_project = word.strip_suffix("/*").is_some_and(|project| known.iter().any(|owner| owner.project == project));
            if !is_project && !known.iter().any(|owner| owner.key() == *word) {
                let message = format!("there is nothing called `{word}` here");
                let place = one.place(&format!("/spec/objects/{index}"));
                // Whoever is deleted by the change is not here any more.
                findings.push(Finding::note(Code::new("ACK-OBJECTS"), message).at(place));
            }
        }
        if is_over(one, now) {
            let message = "it is over and acknowledges nothing any more".to_owned();
            findings.push(Finding::note(Code::new("ACK-EXPIRED"), message).at(one.place("/spec/until")).help("remove it"));
        }
    }
    findings
}

/// What they acknowledge of a change, and a note of each that is about another one.
#[must_use]
pub fn of(landscape: &Landscape, change: Option<&Digest>, now: Timestamp) -> (Vec<Acknowledged>, Vec<Finding>) {
    let (mut said, mut notes) = (Vec::new(), Vec::new());
    for one in landscape.acknowledgements.iter().filter(|one| !is_over(one, now)) {
        let spec = &one.spec.spec;
        match mark(one).filter(|_| !spec.objects.is_empty() && !spec.reason.trim().is_empty()) {
            Some(mark) if change.is_some_and(|digest| digest.as_str() == spec.change) => {
                said.push(Acknowledged::of(mark, spec.objects.clone()));
            }
            Some(_) => {
                let note = Finding::note(Code::new("ACK-UNUSED"), "it acknowledges another change than this one");
                notes.push(note.at(one.place("/spec/change")).help("remove it once that change is merged"));
            }
            None => {}
        }
    }
    (said, notes)
}

fn mark(one: &Sourced<Acknowledgement>) -> Option<Mark> {
    one.spec.spec.mark.parse().ok().filter(|mark| may(*mark))
}

/// Whether a mark can be acknowledged: not nothing, and not what a server refuses.
fn may(mark: Mark) -> bool {
    mark > Mark::None && mark < Mark::Forbidden
}

fn is_over(one: &Sourced<Acknowledgement>, now: Timestamp) -> bool {
    one.spec.spec.until.as_ref().and_then(|until| until.to_string().parse::<Timestamp>().ok()).is_some_and(|until| until <= now)
}
