//! Tolerations and exposure classes: which seeds a project's shoots may be on.

use super::prelude::*;

rules! {
    /// Tolerations are on the project's whitelist, also those that come with an exposure class (V-363).
    "SHOOT-TOLERATION", "a toleration is not allowed in the project", Shoot, allowed as Plugin("ShootTolerationRestriction");
    /// What the exposure class asks of seeds does not contradict what the shoot asks (V-364).
    "SHOOT-EXPOSURE-CONFLICT", "shoot and exposure class disagree about seeds", Shoot, conflict as Mutation("ShootExposureClass");
}

fn allowed(cx: &Cx<'_>, out: &mut Out) {
    let before = cx.before("spec/tolerations").items();
    let Some(project) = cx.object(&Owner::cluster(Kind::Project, &cx.owner.project)).manifest() else { return };
    let whitelist = Node::root(project).at("spec/tolerations/whitelist").items();
    for toleration in cx.new.at("spec/tolerations").items() {
        let (key, value) = (toleration.get("key"), toleration.get("value"));
        let covers = |a: &Node<'_>| a.get("key").same(&key) && (!a.get("value").is_set() || a.get("value").same(&value));
        let kept = before.iter().any(|b| b.get("key").same(&key) && b.get("value").same(&value));
        if !kept && !whitelist.iter().any(covers) {
            out.forbidden(&key, format!("the project does not allow the toleration {}", key.shown()))
                .field(toleration.field())
                .help(format!("project `{}` allows {}", cx.owner.project, listed(whitelist.iter().map(|a| a.get("key").str()))));
        }
    }
}

fn conflict(cx: &Cx<'_>, out: &mut Out) {
    let name = cx.new.at("spec/exposureClassName");
    if name.is_empty() || !cx.is_new() {
        return;
    }
    let owner = Owner::cluster(Kind::ExposureClass, name.str());
    let Some(class) = cx.object(&owner).manifest() else { return };
    let scheduling = Node::root(class).get("scheduling");
    let written = cx.new.at("spec/seedSelector/matchLabels");
    for (key, wanted) in scheduling.at("seedSelector/matchLabels").entries() {
        let mine = written.get(key);
        if mine.is_set() && !mine.same(&wanted) {
            let text = format!("the seed label `{key}` must be {} for exposure class {}, not {}", wanted.shown(), name.shown(), mine.shown());
            out.refused(&mine, text).help("leave the label out: the exposure class adds it").beside(&owner, &wanted, "the class's label");
        }
    }
    for theirs in scheduling.get("tolerations").items() {
        let key = theirs.get("key");
        if let Some(mine) = cx.new.at("spec/tolerations").items().iter().find(|mine| mine.get("key").same(&key)) {
            out.refused(&mine.get("key"), format!("the toleration {} comes with exposure class {}", key.shown(), name.shown()))
                .help("leave it out: the exposure class adds it")
                .beside(&owner, &theirs, "the class's toleration");
        }
    }
}
