//! `graph`: which component needs which.

use std::collections::BTreeMap;

use super::output::{Format, formats};
use super::{Context, Exit, read};
use crate::graph::Dag;
use crate::landscape::Landscape;
use crate::library::Library;
use crate::render::Scope;

/// Show the components of a scope and what they need.
///
/// Overlays of the landscape around the working directory, or of --rev, are part of it.
///
/// Examples:
///   espalier graph shoot
///   espalier graph seed -o mermaid
///   espalier graph shoot -o dot | dot -Tsvg > shoot.svg
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Scope
    #[arg(value_name = "SCOPE", default_value = "shoot", value_parser = ["garden", "project", "seed", "shoot"])]
    scope: String,
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Dot, Format::Mermaid]))]
    output: Format,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    let own = read::names_commit(settings) || read::around(std::path::Path::new("."), &settings.global.path).is_some();
    let landscape = if own { read::read(read::source(context).await?).landscape } else { Landscape::default() };
    let (library, findings) = Library::compile(&landscape.overlays);
    for finding in findings.iter().filter(|f| f.severity == crate::finding::Severity::Error) {
        context.printer.note(&crate::print::snippet::headline(finding));
    }
    let scope = match args.scope.as_str() {
        "garden" => Scope::Garden,
        "project" => Scope::Project,
        "seed" => Scope::Seed,
        _ => Scope::Shoot,
    };
    let needs: BTreeMap<String, Vec<String>> =
        library.components().scope(scope).iter().map(|c| (c.component.id.name.clone(), c.component.needs.clone())).collect();
    let dag = Dag::new(needs.keys().cloned(), &needs)?;
    context.printer.result(&match args.output {
        Format::Dot => dag.to_dot(),
        Format::Mermaid => dag.to_mermaid(),
        _ => text(&dag),
    });
    Ok(if findings.has_errors() { Exit::Something } else { Exit::Done })
}

/// One component a line, in the order in which they may be created.
fn text(dag: &Dag<String>) -> String {
    let width = dag.order().iter().map(String::len).max().unwrap_or(0);
    let mut out = String::new();
    for name in dag.order() {
        let needs = dag.needs(name);
        if needs.is_empty() {
            out.push_str(&format!("{name}\n"));
        } else {
            out.push_str(&format!("{name:width$}   needs {}\n", needs.join(", ")));
        }
    }
    out
}
