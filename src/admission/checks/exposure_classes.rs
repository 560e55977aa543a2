//! Exposure classes: their handler, and the seeds that have it.

use super::prelude::*;
use crate::admission::shared;

rules! {
    /// The handler of an exposure class is a DNS label of at most 34 characters (V-309).
    ///
    /// The namespace of the handler's gateway in a seed is made of it. The handler of an existing class cannot change, so it is
    /// only looked at when the class is new.
    "EXPOSURE-HANDLER", "the handler of an exposure class is not usable", ExposureClass, handler;
    /// What selects the seeds of an exposure class can be understood.
    "EXPOSURE-SCHEDULING", "the seeds of an exposure class cannot be selected", ExposureClass, scheduling;
}

const LONGEST: usize = 34;

fn handler(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.get("handler");
    if !cx.is_new() {
        return;
    }
    if let Err(why) = syntax::label(node.str()) {
        out.invalid(&node, format!("{} is no handler: {why}", node.shown()));
    } else if node.str().len() > LONGEST {
        out.invalid(&node, format!("the handler {} has more than {LONGEST} characters", node.shown()));
    }
}

fn scheduling(cx: &Cx<'_>, out: &mut Out) {
    if cx.is_new() {
        shared::selector(out, &cx.new.at("scheduling/seedSelector"));
        shared::tolerations(out, &cx.new.at("scheduling/tolerations"));
    }
}
