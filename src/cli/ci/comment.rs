//! `ci comment`: a plan as the one comment on a pull request, made once and edited in place from then on.

use std::path::PathBuf;

use http::{Method, StatusCode};

use super::forge::{self, Comment, Thread};
use super::post::Client;
use crate::cli::input::{self, STDIN};
use crate::cli::{Context, Exit};
use crate::config::Forge;
use crate::print::preview::{self, Plan};

/// So many pages of comments are looked through.
const PAGES: usize = 100;

/// Keep one comment about a plan on a pull request.
///
/// There is one comment for each landscape. It is found by a line that readers do not see and by who wrote it, and is edited in
/// place; when the pull request changes nothing any more, it says so. On the runners of GitHub, GitLab, Gitea and Bitbucket
/// everything but the token is known; the token comes from ESPALIER_FORGE_TOKEN, GITHUB_TOKEN, GITLAB_TOKEN or BITBUCKET_TOKEN.
///
/// Examples:
///   espalier ci comment --plan plan.json
///   espalier ci comment --plan plan.json --forge gitlab --dry-run
///   espalier ci comment --plan plan.json --forge github --project org/landscapes --pull-request 7 --head 9e07d31
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// What `plan -o json` wrote; `-` is stdin
    #[arg(long, value_name = "FILE", default_value = STDIN)]
    plan: PathBuf,
    /// Say what would be asked of the forge, and the comment; ask nothing
    #[arg(long)]
    dry_run: bool,
    /// The forge [default: the one whose runner this is]
    #[arg(long, value_name = "FORGE")]
    forge: Option<Forge>,
    /// The root of its API [default: the runner's, else the public one]
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// The project, such as org/landscapes [default: the runner's]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The number of the pull or merge request [default: the runner's]
    #[arg(long, value_name = "N")]
    pull_request: Option<u64>,
    /// End with 3 unless the pull request is at this commit: what an earlier job left behind may lie about its number
    #[arg(long, value_name = "COMMIT", value_parser = commit)]
    head: Option<String>,
    /// Who the comments are by [default: whom the token belongs to]
    #[arg(long, value_name = "LOGIN")]
    author: Option<String>,
}

fn commit(text: &str) -> Result<String, String> {
    let hash = text.len() >= 7 && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if hash { Ok(text.to_ascii_lowercase()) } else { Err("a commit is at least 7 hexadecimal digits".to_owned()) }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let plan = input::plan(&args.plan, input::ANYBODYS)?;
    let Some(forge) = args.forge.or(context.settings.runner.forge) else {
        context.printer.error("it is not known which forge this is for", Some("say --forge github|gitlab|gitea|bitbucket"));
        return Ok(Exit::Usage);
    };
    let known = forge.place();
    let api = args.api.or(known.api).map(|api| api.trim_end_matches('/').to_owned());
    let project = args.project.or(known.project);
    let number = args.pull_request.or(known.number);
    if let Some(name) = project.as_ref().filter(|name| Thread::project(forge, name).is_none()) {
        context.printer.error(&format!("`{}` is no name of a project", name.escape_debug()), Some("say --project OWNER/NAME"));
        return Ok(Exit::Usage);
    }
    let missing = [
        (api.is_none(), "the forge's API: say --api URL"),
        (project.is_none(), "the project: say --project OWNER/NAME"),
        (number.is_none(), "the pull request: say --pull-request N"),
        (known.token.is_none(), "a token: set ESPALIER_FORGE_TOKEN, or look with --dry-run"),
    ];
    let thread = Thread {
        forge,
        api: api.unwrap_or_else(|| "API".to_owned()),
        project: project.and_then(|name| Thread::project(forge, &name)).unwrap_or_else(|| "PROJECT".to_owned()),
        number: number.map_or_else(|| "N".to_owned(), |number| number.to_string()),
    };
    let text = preview::comment(&plan, forge::limit(forge), forge::dialect(forge));
    let marker = preview::marker(&plan.landscape, forge::dialect(forge));
    if args.dry_run {
        context.printer.result(&intended(&thread, &plan, &marker, &text));
        return Ok(Exit::Done);
    }
    if let Some((_, what)) = missing.iter().find(|(missing, _)| *missing) {
        context.printer.error("a comment cannot be written without all of its address", Some(what));
        return Ok(Exit::Usage);
    }
    let client = Client::new(&thread.api, thread.header(&known.token.unwrap_or_default()))?;
    if let Some(head) = &args.head {
        let at = thread.head(&client.must(&Method::GET, &thread.request(), None).await?);
        if at.is_empty() || !(at.starts_with(head) || (at.len() >= 12 && head.starts_with(&at))) {
            let at = at.chars().filter(char::is_ascii_hexdigit).take(12).collect::<String>();
            context.printer.error(
                &format!("pull request {} is at {at}, not at {head}: nothing was written", thread.number),
                Some("run the job of its last commit"),
            );
            return Ok(Exit::Refused);
        }
    }
    let author = match args.author {
        Some(author) => author,
        None => myself(&client, &thread).await?,
    };
    let done = match find(&client, &thread, &marker, &author).await? {
        Some(comment) if same(&comment.text, &text) => format!("comment {} says so already", comment.id),
        Some(comment) => {
            let (method, url) = thread.edit(&comment.id);
            client.must(&method, &url, Some(&thread.body(&text))).await?;
            format!("edited comment {}", comment.id)
        }
        None if plan.is_empty() => "nothing changes, and there is no comment that says otherwise".to_owned(),
        None => {
            let (method, url) = thread.create();
            let answer = client.must(&method, &url, Some(&thread.body(&text))).await?;
            format!("created comment {}", answer["id"])
        }
    };
    context.printer.line(&done);
    Ok(Exit::Done)
}

/// Whom the token belongs to.
async fn myself(client: &Client, thread: &Thread) -> anyhow::Result<String> {
    let (status, answer) = client.ask(&Method::GET, &thread.myself(), None).await?;
    let login = thread.login(&answer);
    if status.is_success() && !login.is_empty() {
        return Ok(login);
    }
    // The token of a job on GitHub belongs to no user, and may not ask.
    match thread.robot() {
        Some(robot) if matches!(status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => Ok(robot.to_owned()),
        _ => anyhow::bail!("the forge does not tell whom the token belongs to ({status}): say --author LOGIN"),
    }
}

/// The comment about this landscape that is our own.
async fn find(client: &Client, thread: &Thread, marker: &str, author: &str) -> anyhow::Result<Option<Comment>> {
    for page in 1..=PAGES {
        let (comments, more) = thread.listed(&client.must(&Method::GET, &thread.list(page), None).await?);
        let ours = |comment: &Comment| comment.author == author && comment.text.lines().next().map(str::trim_end) == Some(marker);
        if let Some(comment) = comments.into_iter().find(ours) {
            return Ok(Some(comment));
        }
        if !more {
            break;
        }
    }
    Ok(None)
}

/// Whether two texts are the same but for how lines end.
fn same(a: &str, b: &str) -> bool {
    a.trim_end().lines().map(str::trim_end).eq(b.trim_end().lines().map(str::trim_end))
}

/// What would be asked, and the comment.
fn intended(thread: &Thread, plan: &Plan, marker: &str, text: &str) -> String {
    let (edit, edited) = thread.edit("ID");
    let (create, created) = thread.create();
    let otherwise = if plan.is_empty() {
        "nothing changes: without one, nothing is written".to_owned()
    } else {
        format!("{create} {created}\n  if there is none")
    };
    format!(
        "GET {}\n  for a comment of one's own that begins with {marker}\n{edit} {edited}\n  if there is one that says something \
         else\n{otherwise}\n\n{text}",
        thread.list(1)
    )
}
