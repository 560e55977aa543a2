//! `schema`: the JSON Schemas of the landscape's kinds, for editors.

use std::path::PathBuf;

use anyhow::Context as _;

use super::explain::kind_of;
use super::{Context, Exit};
use crate::landscape::nearest::nearest;
use crate::landscape::{Kind, schema};
use crate::print::{json, table};

/// Print or write JSON Schemas of the kinds of a landscape, for editors.
///
/// Examples:
///   espalier schema
///   espalier schema shoot
///   espalier schema --out schemas
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Kind, such as shoot
    #[arg(value_name = "KIND")]
    kind: Option<String>,
    /// Write <kind>.json files into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let kind = match &args.kind {
        None => None,
        Some(word) => {
            let Some(kind) = kind_of(word) else {
                let names: Vec<String> = Kind::ALL.iter().map(|k| k.name().to_lowercase()).collect();
                let near = nearest(word, names.iter().map(String::as_str));
                let hint =
                    near.map_or_else(|| "`espalier schema` lists the kinds".to_owned(), |near| format!("did you mean `{near}`?"));
                context.printer.error(&format!("there is no kind `{word}` in a landscape"), Some(&hint));
                return Ok(Exit::Usage);
            };
            Some(kind)
        }
    };
    match (&args.out, kind) {
        (None, Some(kind)) => context.printer.result(&json::json(&schema::json_schema(kind))),
        (None, None) => {
            let rows: Vec<Vec<String>> = Kind::ALL
                .iter()
                .map(|k| vec![k.name().to_lowercase(), k.api_version().to_owned(), schema::file_name(*k)])
                .collect();
            context.printer.result(&table::table(&["KIND", "APIVERSION", "FILE"], &rows, true));
        }
        (Some(dir), kind) => {
            std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
            for kind in kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]) {
                let path = dir.join(schema::file_name(kind));
                let text = json::json(&schema::json_schema(kind));
                std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
                context.printer.note(&format!("wrote {}", path.display()));
            }
        }
    }
    Ok(Exit::Done)
}
