//! `op`: asks for something to be done once, by a committed file.

use serde_json::{Value, json};

use super::change::{Base, How};
use super::explain::kind_of;
use super::selector::Selector;
use super::{Context, Exit, read};
use crate::document;
use crate::landscape::nearest::nearest;
use crate::landscape::operation::{REQUESTS, is_supported};
use crate::landscape::{Kind, Landscape, Owner};

/// Ask for something to be done once: reconcile, or retry what failed.
///
/// A shoot that is reconciled is rolled out at once, also if it waits for its maintenance window with that.
///
/// Commits a file operations/ID.yaml to the landscape's branch. Whatever happens, an id is done at most once; what came of it is
/// reported on the status branch.
///
/// Examples:
///   espalier op shop/store retry
///   espalier op seed/aws-eu1 reconcile --branch retry-eu1
///   espalier op 'shop/*' reconcile --id shop-again --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Of what: PROJECT/SHOOT, PROJECT/*, project/NAME, seed/NAME
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// What
    #[arg(value_name = "OPERATION", value_parser = clap::builder::PossibleValuesParser::new(REQUESTS))]
    operation: String,
    /// Its id, which is also the file's name [default: the time, what and of what]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// A detail, such as seed=aws-us1; may be repeated
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = pair)]
    args: Vec<(String, String)>,
    #[command(flatten)]
    how: How,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a detail is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    if !is_supported(&args.operation) {
        let hint =
            format!("supported are {}", REQUESTS.iter().copied().filter(|r| is_supported(r)).collect::<Vec<_>>().join(", "));
        context.printer.error(&format!("`{}` is not supported yet", args.operation), Some(&hint));
        return Ok(Exit::Failed);
    }
    let base = Base::find(context, args.how).await?;
    let selector = match selected(&args.selector, &base.landscape) {
        Ok(selector) => selector,
        Err((error, hint)) => {
            context.printer.error(&error, hint.as_deref());
            return Ok(Exit::Failed);
        }
    };
    let now = read::now(&context.settings, None, None)?;
    let about: String = args.selector.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let about: Vec<&str> = about.split('-').filter(|word| !word.is_empty()).collect();
    let id = match &args.id {
        Some(id) => id.clone(),
        None => format!("{}-{}-{}", now.strftime("%Y-%m-%d-%H%M%S"), args.operation, about.join("-").to_lowercase()),
    };
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.is_empty() || id.len() > 200 || !id.chars().all(valid) || id.starts_with('-') || id.ends_with('-') {
        context.printer.error(&format!("`{id}` cannot be an id"), Some("small letters, digits and dashes: --id ID"));
        return Ok(Exit::Usage);
    }
    if base.landscape.operations.values().any(|operation| operation.spec.id() == id) {
        context.printer.error(&format!("there is an operation `{id}` already"), Some("an id is done once: say another --id"));
        return Ok(Exit::Refused);
    }
    let text = manifest(&id, &args.operation, selector, &args.args);
    let path = format!("operations/{id}.yaml");
    let subject = format!("Ask for {} of {}", args.operation, args.selector);
    let written = base
        .write(context, &path, subject, &|there| {
            anyhow::ensure!(there.is_none(), "{path} is there already: say another --id");
            Ok(text.clone())
        })
        .await?;
    context.printer.result(&written.text);
    Ok(Exit::Done)
}

/// The file, with its keys in their order.
fn manifest(id: &str, request: &str, selector: Value, args: &[(String, String)]) -> String {
    let mut spec = json!({ "request": request, "selector": selector });
    if !args.is_empty() {
        spec["args"] = args.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    }
    let kind = Kind::Operation;
    let value = json!({ "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": { "name": id }, "spec": spec });
    let text = document::to_yaml(&value);
    let formatted = document::format(&format!("operations/{id}.yaml").into(), &text, &crate::landscape::order::keys, None);
    formatted.map_or(text, |formatted| formatted.text)
}

/// A selector as an operation has it; what is wrong with it, and what to do, if it selects nothing.
fn selected(selector: &Selector, landscape: &Landscape) -> Result<Value, (String, Option<String>)> {
    let said = selector.to_string();
    let exact = !said.contains('*');
    let known = |owner: &Owner| landscape.has(owner);
    match said.split('/').collect::<Vec<_>>().as_slice() {
        [kind, name] if exact && kind_of(kind) == Some(Kind::Project) && known(&Owner::cluster(Kind::Project, *name)) => {
            return Ok(json!({ "projects": [name] }));
        }
        [kind, name] if exact && kind_of(kind) == Some(Kind::Seed) && known(&Owner::cluster(Kind::Seed, *name)) => {
            return Ok(json!({ "seeds": [name] }));
        }
        [project, "*"] if kind_of(project).is_none() && known(&Owner::cluster(Kind::Project, *project)) => {
            return Ok(json!({ "projects": [project] }));
        }
        _ => {}
    }
    let all = landscape.shoots.keys().chain(landscape.broken.keys()).filter(|owner| owner.kind == Kind::Shoot);
    let mut shoots: Vec<String> = all.clone().filter(|owner| selector.matches(owner)).map(Owner::key).collect();
    shoots.sort();
    if shoots.is_empty() {
        let keys: Vec<String> = all.map(Owner::key).collect();
        let near = nearest(&said, keys.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        return Err((format!("no shoot is `{said}`"), near));
    }
    Ok(json!({ "shoots": shoots }))
}
