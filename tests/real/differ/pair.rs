//! Runs a sequence on both servers and compares the answers.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::generate::{Step, print};
use crate::conformance::{answer, run, script};

/// Both servers.
pub(super) struct Pair {
    real: kube::Client,
    sim: kube::Client,
    runs: AtomicU64,
}

/// The first answer that is not the same.
pub(super) struct Difference {
    /// Which request of the sequence.
    pub(super) step: usize,
    asked: String,
    real: String,
    sim: String,
}

impl Pair {
    pub(super) fn new(real: kube::Client, sim: kube::Client) -> Self {
        Self { real, sim, runs: AtomicU64::new(0) }
    }

    /// The status codes of the real server, and the first difference.
    pub(super) async fn run(&self, sequence: &[Step]) -> (Vec<String>, Option<Difference>) {
        let namespace = format!("differ-{:07}", self.runs.fetch_add(1, Ordering::Relaxed));
        let case = script::parse("differ", &format!("== a sequence\n{}", print(sequence))).remove(0);
        let (real, sim) = tokio::join!(run::case(&self.real, &namespace, &case), run::case(&self.sim, &namespace, &case));
        let codes = real.iter().map(|(_, answer)| answer.split(' ').next().unwrap_or_default().to_owned()).collect();
        let pairs = real.into_iter().zip(sim).enumerate();
        // Where the real server cuts the connection off, because a handler of it panics, there is no answer to agree with.
        let differs = |real: &str, sim: &str| real != sim && !real.contains(run::CUT_OFF) && plain(real) != plain(sim);
        let first = pairs.into_iter().find(|(_, ((_, real), (_, sim)))| differs(real, sim));
        let difference = first.map(|(step, ((asked, real), (_, sim)))| Difference { step, asked, real, sim });
        (codes, difference)
    }
}

/// An answer with what is wrong in one order: Go visits the fields of a map in any.
fn plain(answer: &str) -> String {
    let Some((code, body)) = answer.split_once(' ') else { return answer.to_owned() };
    let (body, warnings) = body.split_once('\n').unwrap_or((body, ""));
    let Ok(mut body) = serde_json::from_str::<Value>(body) else { return answer.to_owned() };
    let causes = body.pointer_mut("/details/causes").and_then(Value::as_array_mut);
    let several = causes.is_some_and(|causes| {
        causes.sort_by_key(Value::to_string);
        causes.len() > 1
    });
    if let Some(Value::String(message)) = body.get_mut("message") {
        // The causes are in it once more.
        if let Some(end) = message.find(" is invalid: [").filter(|_| several) {
            message.truncate(end);
        }
        if let Some(end) = message.find("): ").filter(|_| message.contains("field not declared in schema")) {
            // The real server stops at a field that is not declared, wherever Go comes across it.
            message.truncate(end);
        } else if message.contains("errors:\n") {
            let mut lines: Vec<&str> = message.lines().collect();
            lines.sort_unstable();
            *message = lines.join("\n");
        }
    }
    let mut warnings: Vec<&str> = warnings.lines().collect();
    warnings.sort_unstable();
    format!("{code} {body}\n{}", warnings.join("\n"))
}

impl Difference {
    fn lines(&self) -> Vec<String> {
        answer::compare(&self.real, &self.sim)
    }

    /// What the difference is, for people.
    pub(super) fn explain(&self) -> String {
        format!("differs at: {}\n{}", self.asked, self.lines().join("\n"))
    }

    /// What differences of one kind have in common: verb, kind, status codes, and the first place where the answers differ.
    pub(super) fn way(&self) -> String {
        let mut words = self.asked.split(' ');
        let verb = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let kind: Vec<&str> = path.split('/').enumerate().filter(|(place, _)| *place != 1).map(|(_, part)| part).collect();
        let code = |answer: &str| answer.split(' ').next().unwrap_or_default().to_owned();
        let lines = self.lines();
        let place = lines.first().and_then(|line| line.lines().next()).unwrap_or_default().trim();
        format!("{verb} {} {} {} {place}", kind.join("/"), code(&self.real), code(&self.sim))
    }
}
