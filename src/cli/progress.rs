//! What `demo` and `run` say while things move: a line whenever an owner's standing changes, bars on a terminal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::daemon::View;
use crate::daemon::view::Row;
use crate::landscape::{Kind, Owner};
use crate::print::{Printer, table};
use crate::status::Standing;

/// Says what moves until nobody publishes any more.
pub(super) async fn narrate(printer: &Printer, seen: &mut watch::Receiver<Arc<View>>) {
    let mut told: BTreeMap<Owner, (Standing, u8)> = BTreeMap::new();
    let mut bars = printer.draws().then(Bars::default);
    while seen.changed().await.is_ok() {
        let view = seen.borrow_and_update().clone();
        for (owner, row) in view.owners.iter().filter(|(o, _)| matches!(o.kind, Kind::Shoot | Kind::Seed | Kind::Landscape)) {
            if let Some(bars) = &mut bars {
                bars.show(owner, row);
                continue;
            }
            // Quarters are enough for a log.
            let step = row.progress / 25;
            let before = told.insert(owner.clone(), (row.standing, step));
            if before != Some((row.standing, step)) {
                printer.note(&line(owner, row));
            }
        }
        // Views are published faster than anybody reads.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn line(owner: &Owner, row: &Row) -> String {
    let percent = format!("{} %", row.progress);
    let mut line = format!("{:<28} {:<11} {percent:>5}", owner.to_string(), row.standing.word());
    if !row.note.is_empty() && row.standing != Standing::Ready {
        line.push_str(&format!("  {}", row.note));
    }
    line
}

#[derive(Default)]
struct Bars {
    all: MultiProgress,
    of: BTreeMap<Owner, ProgressBar>,
}

impl Bars {
    fn show(&mut self, owner: &Owner, row: &Row) {
        if owner.kind != Kind::Shoot && row.standing == Standing::Ready && !self.of.contains_key(owner) {
            return;
        }
        let bar = self.of.entry(owner.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(100));
            if let Ok(style) = ProgressStyle::with_template("{prefix:28} {bar:24} {percent:>3} %  {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(owner.to_string());
            bar
        });
        bar.set_position(u64::from(row.progress));
        bar.set_message(if row.standing == Standing::Ready {
            "ready".to_owned()
        } else {
            format!("{} {}", row.standing.word(), row.note)
        });
    }
}

/// The shoots as a table, as `get shoots` would print them.
pub(super) fn table(view: &View) -> String {
    let mut rows = Vec::new();
    for (owner, row) in view.owners.iter().filter(|(o, _)| o.kind == Kind::Shoot) {
        rows.push(vec![
            owner.key(),
            row.seed.clone(),
            row.standing.word().to_owned(),
            format!("{}%", row.progress),
            if row.standing == Standing::Ready { String::new() } else { row.note.clone() },
        ]);
    }
    for (owner, row) in view.owners.iter().filter(|(o, r)| o.kind != Kind::Shoot && r.standing != Standing::Ready) {
        rows.push(vec![
            owner.to_string(),
            String::new(),
            row.standing.word().to_owned(),
            format!("{}%", row.progress),
            row.note.clone(),
        ]);
    }
    table::table(&["SHOOT", "SEED", "STANDING", "PROGRESS", "NOTE"], &rows, true)
}
