//! `version`.

use serde_json::json;

use super::output::{self, Format, formats};
use super::{Context, Exit};
use crate::print::json;

/// Print the program's version.
///
/// Examples:
///   espalier version
///   espalier version -o json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Format of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "text",
        value_parser = formats(&[Format::Text, Format::Json, Format::Yaml]))]
    output: Format,
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    if args.output == Format::Text {
        context.printer.line(&format!("espalier {version}"));
    } else {
        let fields = json!({ "version": version, "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH) });
        output::answer(context, args.output, &json::envelope("Version", fields));
    }
    Ok(Exit::Done)
}
