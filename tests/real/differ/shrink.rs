//! Cuts a sequence that differs down to what it takes: requests, options, parts of bodies.

use serde_json::Value;

use super::generate::Step;
use super::pair::{Difference, Pair};

/// The shortest sequence found that still differs; `None`: it does not differ again.
pub(super) async fn shrink(pair: &Pair, sequence: Vec<Step>) -> Option<(Vec<Step>, Difference)> {
    let mut best = sequence;
    let mut differs = pair.run(&best).await.1?;
    let way = differs.way();
    loop {
        let before = size(&best);
        // Nothing after the difference matters.
        best.truncate(differs.step + 1);
        let mut at = 0;
        while at < best.len() {
            let mut less = best.clone();
            less.remove(at);
            match try_out(pair, &less, &way).await {
                // What comes before the end may have made the end differ.
                Some(found) => (best, differs) = (less, found),
                None => at += 1,
            }
        }
        for at in 0..best.len() {
            let mut nth = 0;
            while let Some(less) = smaller(&best, at, nth) {
                match if size(&less) < size(&best) { try_out(pair, &less, &way).await } else { None } {
                    Some(found) => (best, differs) = (less, found),
                    None => nth += 1,
                }
                if at >= best.len() {
                    break;
                }
            }
        }
        if size(&best) == before {
            return Some((best, differs));
        }
    }
}

/// The difference of a sequence, if it is of the same kind.
async fn try_out(pair: &Pair, sequence: &[Step], way: &str) -> Option<Difference> {
    if sequence.is_empty() { None } else { pair.run(sequence).await.1.filter(|found| found.way() == way) }
}

fn size(sequence: &[Step]) -> usize {
    super::generate::print(sequence).len()
}

/// A sequence whose request `at` lacks its `nth` part; `None`: it has no such part.
fn smaller(sequence: &[Step], at: usize, nth: usize) -> Option<Vec<Step>> {
    let mut less = sequence.to_vec();
    let step = less.get_mut(at)?;
    if nth < step.options.len() {
        // An apply needs a manager.
        if step.verb == "apply" && step.options[nth].starts_with("by=") {
            "by=m".clone_into(&mut step.options[nth]);
        } else {
            step.options.remove(nth);
        }
        return Some(less);
    }
    let mut left = nth - step.options.len();
    cut(step.body.as_mut()?, &mut left).then_some(less)
}

/// Takes out the `left`th field or item, counted from the outside in.
fn cut(value: &mut Value, left: &mut usize) -> bool {
    match value {
        Value::Object(map) => {
            let names: Vec<String> = map.keys().cloned().collect();
            if let Some(name) = names.get(*left) {
                map.remove(name);
                return true;
            }
            *left -= names.len();
            map.values_mut().any(|below| cut(below, left))
        }
        Value::Array(list) => {
            if *left < list.len() {
                list.remove(*left);
                return true;
            }
            *left -= list.len();
            list.iter_mut().any(|below| cut(below, left))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
