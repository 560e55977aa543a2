//! The judgement on one object: its defaults, and what rules say about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::check::{Check, Cx, Noted, Out, Raised, World};
use super::default;
use super::node::Node;
use super::source::{Extent, Source};
use crate::finding::{Code, ErrorType, Finding, Findings};
use crate::landscape::{Kind, Owner};

/// An object to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// The manifest as written.
    pub written: &'a Arc<Value>,
    /// The manifest that was accepted before; none if the object is new.
    pub old: Option<&'a Arc<Value>>,
    /// The moment, in seconds.
    pub now: i64,
}

/// What was found for one object, and what that depends on.
pub(super) struct Judgement {
    /// The manifest with defaults.
    pub manifest: Arc<Value>,
    /// What was accepted before, with defaults.
    pub old: Option<Value>,
    pub raised: Vec<Raised>,
    pub noted: Noted,
}

/// Fills in defaults and applies every rule within an extent, in Gardener's order: what plugins fill in and need for it, static
/// validation, what plugins refuse, and what only espalier minds. Everything is collected. The findings have no places in a text.
#[must_use]
pub fn judge(case: &Case<'_>, world: &World, extent: Extent) -> (Arc<Value>, Findings) {
    let Judgement { manifest, raised, .. } = evaluate(case, world, extent);
    let findings = once_per_cause(raised).iter().map(|raised| finding(raised).of(case.owner)).collect();
    (manifest, Findings(findings))
}

/// What was raised, without its places.
pub(super) fn finding(raised: &Raised) -> Finding {
    let mut finding = Finding::new(raised.severity, raised.code.clone(), raised.message.clone());
    finding.help.clone_from(&raised.help);
    finding.cause = raised.cause();
    finding
}

pub(super) fn evaluate(case: &Case<'_>, world: &World, extent: Extent) -> Judgement {
    let Case { owner, written, now, .. } = *case;
    let noted = Noted::default();
    let old = case.old.map(|value| default::own(value, owner, extent));
    let mut out = Out::new(Code::new("INTERNAL-ERROR"));
    let (raw, before) = (Node::root(written), old.as_ref().map(Node::root));
    let cx = |new| Cx { owner, new, written: raw.clone(), old: before.clone(), now, world, noted: &noted };
    let look = |cx: &Cx<'_>, out: &mut Out, first: bool| {
        let within = |source: Source| source.extent() <= extent && source.comes_first() == first;
        for (source, code, check) in rules_for(owner.kind).iter().filter(|(source, ..)| within(*source)) {
            out.speak_for(Code::new(code), *source);
            check(cx, out);
        }
    };
    look(&cx(raw.clone()), &mut out, true);
    let manifest = default::apply(&cx(raw.clone()), case.old.map(Arc::as_ref), &mut out, extent);
    look(&cx(Node::root(&manifest)), &mut out, false);
    drop(before);
    Judgement {
        manifest: Arc::new(default::stored(manifest, owner, raw.at("spec/seedName").is_set())),
        old,
        raised: up_to_refusal(out.raised),
        noted,
    }
}

/// What static validation says about an object that is a part of another one.
pub(super) fn statically(cx: &Cx<'_>) -> Vec<Raised> {
    let mut out = Out::new(Code::new("INTERNAL-ERROR"));
    for (source, code, check) in rules_for(cx.owner.kind).iter().filter(|(source, ..)| source.extent() == Extent::Static) {
        out.speak_for(Code::new(code), *source);
        check(cx, &mut out);
    }
    out.raised
}

/// A request that contradicts its object, or one that cannot be converted, is refused before anything else is looked at.
fn up_to_refusal(mut raised: Vec<Raised>) -> Vec<Raised> {
    let refuses = |r: &Raised| matches!(r.error, Some(ErrorType::BadRequest | ErrorType::ConversionError));
    if raised.iter().any(refuses) {
        raised.retain(refuses);
    }
    raised
}

/// One function of a rule: who asks for it, and under which code it speaks.
type Line = (Source, &'static str, Check);

/// What is applied to a kind, in order.
fn rules_for(kind: Kind) -> &'static [Line] {
    static RULES: OnceLock<BTreeMap<Kind, Vec<Line>>> = OnceLock::new();
    let all = RULES.get_or_init(|| {
        let of = |kind: &Kind| {
            let rules = super::rules().filter(|rule| rule.kinds.contains(kind));
            let mut checks: Vec<Line> =
                rules.flat_map(|rule| rule.checks.iter().map(|(source, check)| (*source, rule.code, *check))).collect();
            checks.sort_by_key(|(source, ..)| source.rank());
            (*kind, checks)
        };
        Kind::ALL.iter().map(of).collect()
    });
    all.get(&kind).map(Vec::as_slice).unwrap_or_default()
}

/// Drops repetitions: the same code at the same place says the same.
pub(super) fn once_per_cause(raised: Vec<Raised>) -> Vec<Raised> {
    let mut seen = BTreeSet::new();
    raised
        .into_iter()
        .filter(|r| seen.insert((r.code.clone(), r.at.first().map(|at| at.pointer.clone()), r.message.clone())))
        .collect()
}
