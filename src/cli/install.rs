//! `install`: what espalier is allowed to do in clusters, for whoever sets them up.

use super::{Context, Exit, read};
use crate::library::{self, Install};

/// Print the roles that espalier needs in its garden and its seeds, and no more than that.
///
/// Each has a namespace, a service account, and roles that name every resource and verb. Whoever runs espalier elsewhere binds the
/// roles to its own user instead.
///
/// Examples:
///   espalier install --print --in garden -L live | kubectl --context garden apply -f -
///   espalier install --print --in seed | kubectl --context seed-eu apply -f -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Print manifests; nothing is installed by espalier itself
    #[arg(long, required = true)]
    print: bool,
    /// For which sort of cluster [default: both, one after the other]
    #[arg(long = "in", value_enum, value_name = "CLUSTER")]
    cluster: Option<Cluster>,
}

/// A sort of cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Cluster {
    Garden,
    Seed,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    debug_assert!(args.print, "clap insists on it");
    if args.cluster != Some(Cluster::Seed) {
        let Some(name) = landscape(context).await else {
            context.printer.error("which landscape?", Some("say --landscape NAME: the lease in the garden is named after it"));
            return Ok(Exit::Usage);
        };
        context.printer.result(&library::install(Install::Garden { landscape: &name }));
    }
    if args.cluster != Some(Cluster::Garden) {
        context.printer.result(&library::install(Install::Seed));
    }
    Ok(Exit::Done)
}

/// The landscape that is meant: by flag, or the one around.
async fn landscape(context: &Context) -> Option<String> {
    if let Some(name) = &context.settings.global.landscape {
        return Some(name.clone());
    }
    let source = read::source(context).await.ok()?;
    Some(read::read(source).landscape.name).filter(|name| !name.is_empty())
}
