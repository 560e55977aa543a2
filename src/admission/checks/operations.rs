//! Operations: what is asked, of what, and under which id.

use super::prelude::*;
use crate::landscape::operation::REQUESTS;

rules! {
    /// An operation asks for something that there is.
    "OPERATION-REQUEST", "an operation asks for something unknown", Operation, request as Espalier;
    /// An operation says what it is about: shoots, projects, seeds or labels. One that names nothing would be about everything.
    "OPERATION-SELECTOR", "an operation does not say what it is about", Operation, selector as Espalier;
    /// An id is done at most once, so each operation needs an id of its own; absent, it is the name.
    "OPERATION-ID", "two operations have the same id", Operation, id as Espalier;
}

fn request(cx: &Cx<'_>, out: &mut Out) {
    let request = cx.new.at("spec/request");
    if request.is_empty() {
        out.error(&request, "an operation needs a request").help(format!("one of {}", listed(REQUESTS)));
    } else if !REQUESTS.contains(&request.str()) {
        out.error(&request, format!("there is no request {}", request.shown())).help(format!("one of {}", listed(REQUESTS)));
    }
}

fn selector(cx: &Cx<'_>, out: &mut Out) {
    let selector = cx.new.at("spec/selector");
    let named = |key: &'static str| !selector.get(key).items().is_empty();
    let labelled = !selector.at("labels/matchLabels").is_empty() || !selector.at("labels/matchExpressions").is_empty();
    if !labelled && !named("shoots") && !named("projects") && !named("seeds") {
        out.error(&selector, "the operation does not say what it is about").help("name `shoots`, `projects`, `seeds` or `labels`");
    }
    for shoot in selector.get("shoots").items() {
        match shoot.str().split_once('/') {
            Some((project, name)) if !project.is_empty() && !name.is_empty() && !name.contains('/') => {
                if matches!(cx.object(&Owner::project(Kind::Shoot, project, name)), Seen::Missing) {
                    out.warning(&shoot, format!("there is no shoot {}", shoot.shown()));
                }
            }
            _ => {
                out.error(&shoot, format!("{} is no shoot", shoot.shown())).help("write it as `project/name`");
            }
        }
    }
    for (key, kind) in [("projects", Kind::Project), ("seeds", Kind::Seed)] {
        for named in selector.get(key).items() {
            if matches!(cx.object(&Owner::cluster(kind, named.str())), Seen::Missing) {
                out.warning(&named, format!("there is no {kind} {}", named.shown()));
            }
        }
    }
}

fn id(cx: &Cx<'_>, out: &mut Out) {
    fn of<'a>(manifest: &Node<'a>) -> Node<'a> {
        let id = manifest.at("spec/id");
        if id.is_empty() { manifest.at("metadata/name") } else { id }
    }
    let own = of(&cx.new);
    // Whoever had it first keeps it.
    if cx.old.as_ref().is_some_and(|old| of(old).str() == own.str()) {
        return;
    }
    let taken = cx.others(Kind::Operation).find(|(_, other)| of(&Node::root(other)).str() == own.str());
    if let Some((owner, other)) = taken {
        let message = format!("the id {} is that of {owner} already", own.shown());
        out.error(&own, message).help("give it another `spec.id`: an id is done at most once").beside(owner, &of(&Node::root(other)), "here");
    }
}
