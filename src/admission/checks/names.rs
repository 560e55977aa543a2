//! Names: what they may consist of, and how long they may be so that every name derived from them still fits.

use super::prelude::*;

rules! {
    /// The name of a shoot is a DNS label without two hyphens in a row (V-001, V-002).
    ///
    /// The name becomes part of host names and of the technical id `shoot--<project>--<shoot>`, whose parts are separated by
    /// `--`.
    "SHOOT-NAME", "a shoot's name is not usable", Shoot, shoot_name;
    /// Project and shoot name together have at most 21 characters (V-320).
    ///
    /// Names of machines and load balancers are made of both, and several providers end them at 63 characters.
    "SHOOT-NAME-LENGTH", "project and shoot name are too long together", Shoot, shoot_length as Plugin("ShootValidator");
    /// The name of a project is a DNS name of at most 10 characters without two hyphens in a row (V-287).
    "PROJECT-NAME", "a project's name is not usable", Project, project_name;
    /// The name of a seed is a DNS label: it becomes part of host names and label keys.
    "SEED-NAME", "a seed's name is not usable", Seed, seed_name;
    /// A landscape keeps its name.
    ///
    /// Its status branch is called after it, and so is what it owns in the garden. Whoever wants another name runs another landscape.
    "LANDSCAPE-RENAMED", "a landscape cannot be renamed", Landscape, landscape_name as Espalier;
}

const TOGETHER: usize = 21;
const PROJECT: usize = 10;

fn plain(cx: &Cx<'_>, out: &mut Out, what: &str) {
    let node = cx.new.at("metadata/name");
    let name = &cx.owner.name;
    if name.is_empty() {
        return;
    }
    if let Err(why) = if what == "project" { syntax::subdomain(name) } else { syntax::label(name) } {
        out.invalid(&node, format!("`{name}` is no name for a {what}: {why}")).help("use lower-case letters, digits and single hyphens");
    } else if name.contains("--") && what != "seed" {
        out.invalid(&node, format!("the name `{name}` contains `--`, which separates the parts of the technical id"))
            .help(format!("for example `{}`", name.replace("--", "-")));
    }
}

fn shoot_name(cx: &Cx<'_>, out: &mut Out) {
    plain(cx, out, "shoot");
}

fn shoot_length(cx: &Cx<'_>, out: &mut Out) {
    let (project, shoot) = (&cx.owner.project, &cx.owner.name);
    let length = project.chars().count() + shoot.chars().count();
    if cx.is_new() && length > TOGETHER {
        let left = TOGETHER.saturating_sub(project.chars().count());
        out.invalid(&cx.new.at("metadata/name"), format!("`{project}` and `{shoot}` have {length} characters together, at most {TOGETHER} are possible"))
            .field("name")
            .help(format!("shoots of project `{project}` may have names of up to {left} characters"));
    }
}

fn project_name(cx: &Cx<'_>, out: &mut Out) {
    plain(cx, out, "project");
    let length = cx.owner.name.len();
    if length > PROJECT {
        out.too_long(&cx.new.at("metadata/name"), format!("the name `{}` has {length} characters, at most {PROJECT} are possible", cx.owner.name));
    }
}

fn seed_name(cx: &Cx<'_>, out: &mut Out) {
    plain(cx, out, "seed");
}

fn landscape_name(cx: &Cx<'_>, out: &mut Out) {
    let (is, was) = (&cx.owner.name, cx.landscape());
    if is != was {
        out.forbidden(&cx.new.at("metadata/name"), format!("the landscape is called `{was}`, and `{is}` would be another one"))
            .help(format!("write `{was}`; its settings stay as they were accepted"));
    }
}
