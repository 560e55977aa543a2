//! Counting: agreement per kind, the most frequent disagreements, and what the exceptions account for.

use std::collections::BTreeMap;

use super::exceptions::Exceptions;
use super::replay::Outcome;

/// How many of how many agree.
#[derive(Default, Clone, Copy)]
struct Share {
    agree: usize,
    of: usize,
}

impl Share {
    fn add(&mut self, agrees: Option<bool>) {
        self.of += usize::from(agrees.is_some());
        self.agree += usize::from(agrees == Some(true));
    }

    fn join(&mut self, other: Self) {
        self.of += other.of;
        self.agree += other.agree;
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn percent(self) -> f64 {
        if self.of == 0 { 100.0 } else { 100.0 * self.agree as f64 / self.of as f64 }
    }

    fn shown(self) -> String {
        if self.of == 0 { "-".to_owned() } else { format!("{:.2} %", self.percent()) }
    }
}

#[derive(Default, Clone, Copy)]
struct Row {
    cases: usize,
    verdicts: Share,
    fields: Share,
    objects: Share,
}

impl Row {
    fn join(&mut self, other: Self) {
        self.cases += other.cases;
        self.verdicts.join(other.verdicts);
        self.fields.join(other.fields);
        self.objects.join(other.objects);
    }
}

#[derive(Default)]
pub(super) struct Tally {
    rows: BTreeMap<String, Row>,
    about: BTreeMap<String, usize>,
    /// By the name of the exception.
    excepted: BTreeMap<String, usize>,
}

impl Tally {
    pub(super) fn of(outcomes: &[Outcome], exceptions: &Exceptions) -> Self {
        let mut tally = Self::default();
        for outcome in outcomes {
            tally.add(outcome, exceptions);
        }
        tally
    }

    fn add(&mut self, outcome: &Outcome, exceptions: &Exceptions) {
        let row = self.rows.entry(outcome.kind.clone()).or_default();
        row.cases += 1;
        row.verdicts.add(outcome.verdict);
        row.fields.add(outcome.fields);
        row.objects.add(outcome.object);
        if outcome.disagrees()
            && let Some(class) = exceptions.class_of(outcome)
        {
            *self.excepted.entry(class.name.clone()).or_default() += 1;
        }
        for about in &outcome.about {
            *self.about.entry(format!("{} {about}", outcome.kind)).or_default() += 1;
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        for (kind, row) in other.rows {
            self.rows.entry(kind).or_default().join(row);
        }
        for (name, n) in other.excepted {
            *self.excepted.entry(name).or_default() += n;
        }
    }

    fn sum(&self) -> Row {
        self.rows.values().fold(Row::default(), |mut sum, row| {
            sum.join(*row);
            sum
        })
    }

    /// Verdicts, fields and objects that agree.
    pub(super) fn percentages(&self) -> (f64, f64, f64) {
        let sum = self.sum();
        (sum.verdicts.percent(), sum.fields.percent(), sum.objects.percent())
    }

    pub(super) fn print(&self, file: &str) {
        println!("{file}.jsonl");
        let mut rows: Vec<(&str, Row)> = self.rows.iter().map(|(kind, row)| (kind.as_str(), *row)).collect();
        rows.push(("all", self.sum()));
        for (kind, row) in rows {
            let (verdicts, fields, objects) = (row.verdicts.shown(), row.fields.shown(), row.objects.shown());
            println!("  {kind:<24} {:>5} cases  verdicts {verdicts:>8}  fields {fields:>8}  objects {objects:>8}", row.cases);
        }
        let mut about: Vec<(&String, &usize)> = self.about.iter().collect();
        about.sort_by_key(|(text, n)| (std::cmp::Reverse(**n), *text));
        for (text, n) in about.into_iter().take(10) {
            println!("  {n:>6} × {text}");
        }
    }

    pub(super) fn print_exceptions(&self, exceptions: &Exceptions) {
        for class in &exceptions.classes {
            let n = self.excepted.get(&class.name).copied().unwrap_or_default();
            println!("exception: {n} cases, {} ({})", class.name, class.reason);
        }
    }
}
