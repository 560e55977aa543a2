//! `schema`: the JSON Schemas of the landscape's kinds, for editors, and of answers of commands, for programs that read them.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use super::explain::kind_of;
use super::{Context, Exit};
use crate::landscape::nearest::nearest;
use crate::landscape::{Kind, acknowledgement, schema};
use crate::print::json::published::ANSWERS;
use crate::print::{json, table};

/// Print or write JSON Schemas of the kinds of a landscape, for editors, and of what commands answer as JSON.
///
/// Examples:
///   espalier schema
///   espalier schema shoot
///   espalier schema plan
///   espalier schema --out schemas
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Kind, such as shoot; or an answer of a command, such as plan, drift or history
    #[arg(value_name = "KIND")]
    kind: Option<String>,
    /// Write <kind>.json files into this folder, answers below cli/
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A schema that there is.
struct Known {
    word: String,
    api_version: &'static str,
    /// Its path below `schemas/`.
    file: String,
    schema: Box<dyn Fn() -> Value>,
    kind: Option<Kind>,
}

/// All of them: the kinds of a landscape, then the answers.
fn known() -> Vec<Known> {
    let kinds = Kind::ALL.iter().map(|kind| Known {
        word: kind.name().to_lowercase(),
        api_version: kind.api_version(),
        file: schema::file_name(*kind),
        schema: Box::new(move || schema::json_schema(*kind)),
        kind: Some(*kind),
    });
    let answers = ANSWERS.iter().map(|(word, schema)| Known {
        word: (*word).to_owned(),
        api_version: json::API_VERSION,
        file: format!("cli/{word}.json"),
        schema: Box::new(*schema),
        kind: None,
    });
    let acknowledgement = Known {
        word: "acknowledgement".to_owned(),
        api_version: Kind::Landscape.api_version(),
        file: "acknowledgement.json".to_owned(),
        schema: Box::new(acknowledgement::json_schema),
        kind: None,
    };
    kinds.chain([acknowledgement]).chain(answers).collect()
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let mut known = known();
    if let Some(word) = &args.kind {
        let kind = kind_of(word);
        let found = known.iter().position(|one| one.word == *word || (kind.is_some() && one.kind == kind));
        let Some(found) = found else {
            let near = nearest(word, known.iter().map(|one| one.word.as_str()));
            let hint =
                near.map_or_else(|| "`espalier schema` lists the kinds".to_owned(), |near| format!("did you mean `{near}`?"));
            context.printer.error(&format!("there is no kind `{word}` in a landscape"), Some(&hint));
            return Ok(Exit::Usage);
        };
        known = vec![known.swap_remove(found)];
    }
    let text = |one: &Known| json::json(&(one.schema)());
    match (&args.out, &args.kind) {
        (None, Some(_)) => known.iter().for_each(|one| context.printer.result(&text(one))),
        (None, None) => {
            let rows: Vec<Vec<String>> =
                known.into_iter().map(|one| vec![one.word, one.api_version.to_owned(), one.file]).collect();
            context.printer.result(&table::table(&["KIND", "APIVERSION", "FILE"], &rows, true));
        }
        (Some(dir), _) => {
            for one in &known {
                let path = dir.join(&one.file);
                let folder = path.parent().unwrap_or(dir);
                std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
                std::fs::write(&path, text(one)).with_context(|| format!("failed to write {}", path.display()))?;
                context.printer.note(&format!("wrote {}", path.display()));
            }
        }
    }
    Ok(Exit::Done)
}
