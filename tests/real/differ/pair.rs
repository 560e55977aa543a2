//! Runs a sequence on both servers and compares the answers.

use std::sync::atomic::{AtomicU64, Ordering};

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
        let first = pairs.into_iter().find(|(_, ((_, real), (_, sim)))| real != sim);
        let difference = first.map(|(step, ((asked, real), (_, sim)))| Difference { step, asked, real, sim });
        (codes, difference)
    }
}

impl Difference {
    fn lines(&self) -> Vec<String> {
        answer::compare(&self.real, &self.sim)
    }

    /// What the difference is, for people.
    pub(super) fn explain(&self) -> String {
        format!("differs at: {}\n{}", self.asked, self.lines().join("\n"))
    }

    /// What differences of one kind have in common: verb, kind, and where the answers differ.
    pub(super) fn way(&self) -> String {
        let mut words = self.asked.split(' ');
        let verb = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let kind: Vec<&str> = path.split('/').enumerate().filter(|(place, _)| *place != 1).map(|(_, part)| part).collect();
        let code = |answer: &str| answer.split(' ').next().unwrap_or_default().to_owned();
        let lines = self.lines();
        let places = lines.iter().filter(|line| line.ends_with(':')).map(|line| line.trim());
        format!("{verb} {} {} {} {}", kind.join("/"), code(&self.real), code(&self.sim), places.collect::<Vec<_>>().join(" "))
    }
}
