//! The one comment on a pull request, against a stand-in of each forge: made once, found again by its marker and its author, edited
//! in place.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::ci::{plan, plan_of};
use super::cli::{Ran, run_in};

pub(crate) const TOKEN: &str = "t0k3n-canary";
pub(crate) const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the stand-in holds: comments as id, author, text.
#[derive(Default)]
struct State {
    comments: Vec<(u64, String, String)>,
    /// Method and path of every request that was let in.
    asked: Vec<String>,
    /// Answers to everything with this, instead.
    broken: Option<(u16, &'static str)>,
}

pub(crate) struct StandIn {
    forge: &'static str,
    /// The root of its API.
    pub(crate) api: String,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    pub(crate) fn start(forge: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let api = format!("http://{}/api", listener.local_addr().expect("an address"));
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(forge, &shared, stream);
            }
        });
        Self { forge, api, state }
    }

    fn wrote(&self, author: &str, text: &str) -> u64 {
        let mut state = self.state.lock().expect("lock");
        let id = 100 + u64::try_from(state.comments.len()).expect("few");
        state.comments.push((id, author.to_owned(), text.to_owned()));
        id
    }

    pub(crate) fn comments(&self) -> Vec<(u64, String, String)> {
        self.state.lock().expect("lock").comments.clone()
    }

    /// Requests that wrote something since the last time.
    fn writes(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.state.lock().expect("lock").asked);
        asked.into_iter().filter(|line| !line.starts_with("GET ")).collect()
    }

    fn comment(&self, dir: &Path, plan: &Value, more: &[&str]) -> Ran {
        let own: &[(&str, &str)] = match self.forge {
            "github" => &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "org/landscapes"),
                ("GITHUB_REF", "refs/pull/7/merge"),
                ("GITHUB_TOKEN", TOKEN),
            ],
            "gitea" => &[
                ("GITHUB_ACTIONS", "true"),
                ("GITEA_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "org/landscapes"),
                ("GITHUB_REF", "refs/pull/7/head"),
                ("ESPALIER_FORGE_TOKEN", TOKEN),
            ],
            "gitlab" => &[("GITLAB_CI", "true"), ("CI_PROJECT_ID", "42"), ("CI_MERGE_REQUEST_IID", "7"), ("GITLAB_TOKEN", TOKEN)],
            _ => &[
                ("BITBUCKET_BUILD_NUMBER", "1"),
                ("BITBUCKET_REPO_FULL_NAME", "org/landscapes"),
                ("BITBUCKET_PR_ID", "7"),
                ("BITBUCKET_TOKEN", TOKEN),
            ],
        };
        let api: &[(&str, &str)] = match self.forge {
            "github" | "gitea" => &[("GITHUB_API_URL", &self.api)],
            "gitlab" => &[("CI_API_V4_URL", &self.api)],
            _ => &[],
        };
        let flag: &[&str] = if self.forge == "bitbucket" { &["--api", &self.api] } else { &[] };
        let ran = run_in(dir, &[own, api].concat(), &plan.to_string(), &[&["ci", "comment"], flag, more].concat());
        assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is told: {}{}", ran.out, ran.err);
        ran
    }
}

fn serve(forge: &str, state: &Mutex<State>, stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let header = |name: &str| {
        let named = |line: &String| {
            line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        lines.iter().find_map(named).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).expect("a body");
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut words = lines[0].split(' ');
    let (method, target) = (words.next().expect("a method"), words.next().expect("a path"));
    let token = match forge {
        "gitlab" => header("private-token"),
        "gitea" => header("authorization").replace("token ", ""),
        _ => header("authorization").replace("Bearer ", ""),
    };
    let mut state = state.lock().expect("lock");
    let (status, extra, answer) = if let Some((status, location)) = state.broken {
        (status, format!("location: {location}\r\n"), json!({ "message": format!("no\u{1b}[31m {}", "z".repeat(5_000)) }))
    } else if token != TOKEN || header("user-agent").is_empty() {
        (401, String::new(), json!({ "message": "who are you" }))
    } else {
        state.asked.push(format!("{method} {target}"));
        let (status, answer) = answer(forge, &mut state, method, target, &body);
        (status, String::new(), answer)
    };
    drop(state);
    let text = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\n{extra}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    let mut stream = reader.into_inner();
    stream.write_all((head + &text).as_bytes()).expect("an answer is taken");
}

fn answer(forge: &str, state: &mut State, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let root = match forge {
        "github" | "gitea" => "/api/repos/org/landscapes",
        "gitlab" => "/api/projects/42",
        _ => "/api/repositories/org/landscapes",
    };
    let (list, one, request) = match forge {
        "github" | "gitea" => ("issues/7/comments", "issues/comments", "pulls/7"),
        "gitlab" => ("merge_requests/7/notes", "merge_requests/7/notes", "merge_requests/7"),
        _ => ("pullrequests/7/comments", "pullrequests/7/comments", "pullrequests/7"),
    };
    let told = |(id, author, text): &(u64, String, String)| match forge {
        "github" | "gitea" => json!({ "id": id, "user": { "login": author }, "body": text }),
        "gitlab" => json!({ "id": id, "author": { "username": author }, "body": text }),
        _ => json!({ "id": id, "user": { "uuid": author }, "content": { "raw": text } }),
    };
    let text = || {
        let text = if forge == "bitbucket" { &body["content"]["raw"] } else { &body["body"] };
        text.as_str().expect("a text").to_owned()
    };
    if path == "/api/user" {
        return match forge {
            // As GitHub answers the token of a job.
            "github" => (403, json!({ "message": "Resource not accessible by integration" })),
            "gitlab" => (200, json!({ "username": "robot" })),
            "gitea" => (200, json!({ "login": "robot" })),
            _ => (200, json!({ "uuid": "robot" })),
        };
    }
    let Some(path) = path.strip_prefix(root).map(|rest| rest.trim_start_matches('/')) else {
        return (404, json!({ "message": "Not Found" }));
    };
    if method == "GET" && path == request {
        return (
            200,
            match forge {
                "gitlab" => json!({ "sha": HEAD }),
                "bitbucket" => json!({ "source": { "commit": { "hash": &HEAD[..12] } } }),
                _ => json!({ "head": { "sha": HEAD } }),
            },
        );
    }
    if method == "GET" && path == list {
        let of = |key: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            value.and_then(|text| text.parse::<usize>().ok())
        };
        let all: Vec<Value> = state.comments.iter().map(told).collect();
        if forge == "gitea" {
            return (200, all.into());
        }
        let size = of(if forge == "bitbucket" { "pagelen" } else { "per_page" }).expect("a size");
        let page = of("page").expect("a page");
        let more = all.len() > page * size;
        let part: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
        return (
            200,
            match forge {
                "bitbucket" if more => json!({ "values": part, "next": "http://127.0.0.2/elsewhere" }),
                "bitbucket" => json!({ "values": part }),
                _ => part.into(),
            },
        );
    }
    if method == "POST" && path == list {
        let id = 100 + u64::try_from(state.comments.len()).expect("few");
        let author = if forge == "github" { "github-actions[bot]" } else { "robot" };
        state.comments.push((id, author.to_owned(), text()));
        return (201, told(state.comments.last().expect("it was written")));
    }
    let edit = if matches!(forge, "github" | "gitea") { "PATCH" } else { "PUT" };
    let id = path.strip_prefix(one).and_then(|rest| rest.strip_prefix('/')?.parse::<u64>().ok());
    match state.comments.iter_mut().find(|(known, ..)| Some(*known) == id) {
        Some(comment) if method == edit => {
            comment.2 = text();
            (200, told(comment))
        }
        _ => (404, json!({ "message": "Not Found" })),
    }
}

/// Nothing changes any more.
fn nothing() -> Value {
    plan_of(Vec::new())
}

#[test]
fn there_is_one_comment_for_each_landscape_and_it_is_edited_in_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    for forge in ["github", "gitlab", "gitea", "bitbucket"] {
        let stand_in = StandIn::start(forge);
        let me = if forge == "github" { "github-actions[bot]" } else { "robot" };
        // Without a change and without a comment there is nothing to say.
        let ran = stand_in.comment(dir, &nothing(), &[]);
        assert_eq!((ran.code, stand_in.writes().len()), (0, 0), "{forge}: {}{}", ran.out, ran.err);
        // Others may say what they like, with the same line, and we about something else.
        let marker = if forge == "bitbucket" { "[//]: # (espalier:plan:local:v1)" } else { "<!-- espalier:plan:local:v1 -->" };
        let foreign = stand_in.wrote("other-bot", &format!("{marker}\nmine"));
        stand_in.wrote(me, &format!("quoted: {marker}"));
        for n in 0..220 {
            stand_in.wrote("ada", &format!("remark {n}"));
        }
        let ran = stand_in.comment(dir, plan(), &[]);
        assert_eq!(ran.code, 0, "{forge}: {}", ran.err);
        assert!(ran.out.starts_with("created comment "), "{forge}: {}", ran.out);
        let (id, author, text) = stand_in.comments().pop().expect("it was written");
        assert!(author == me && text.starts_with(marker) && text.contains("### espalier plan · `local`"), "{forge}: {text}");
        assert_eq!(stand_in.writes().len(), 1, "{forge}");
        // The same again writes nothing, another plan edits it.
        let ran = stand_in.comment(dir, plan(), &[]);
        assert_eq!((ran.code, ran.out.as_str()), (0, format!("comment {id} says so already\n").as_str()), "{forge}");
        assert!(stand_in.writes().is_empty(), "{forge}");
        let mut objects = plan()["objects"].as_array().expect("a list").clone();
        objects.truncate(2);
        let ran = stand_in.comment(dir, &plan_of(objects), &[]);
        assert_eq!((ran.code, ran.out.as_str()), (0, format!("edited comment {id}\n").as_str()), "{forge}");
        assert_eq!(stand_in.writes().len(), 1, "{forge}");
        // Another landscape has its own.
        let mut other = plan().clone();
        other["landscape"] = "canary".into();
        let ran = stand_in.comment(dir, &other, &[]);
        assert!(ran.out.starts_with("created comment "), "{forge}: {}{}", ran.out, ran.err);
        assert_eq!(stand_in.writes().len(), 1, "{forge}");
        // When nothing changes any more, the comment stays and says so.
        let ran = stand_in.comment(dir, &nothing(), &[]);
        assert_eq!((ran.code, ran.out.as_str()), (0, format!("edited comment {id}\n").as_str()), "{forge}");
        let comments = stand_in.comments();
        let of =
            |id: u64| comments.iter().find(|(known, ..)| *known == id).map(|(_, _, text)| text.clone()).expect("it is there");
        assert!(of(id).ends_with("No effect on `local`.\n"), "{forge}: {}", of(id));
        assert_eq!(of(foreign), format!("{marker}\nmine"), "{forge}");
        assert_eq!(comments.len(), 224, "{forge}");
        assert!(comments.last().is_some_and(|(_, _, text)| text.contains("· `canary`")), "{forge}");
    }
}

#[test]
fn a_comment_is_written_where_the_commit_is_or_nowhere() {
    let dir = tempfile::tempdir().expect("a folder");
    for forge in ["github", "gitlab", "gitea", "bitbucket"] {
        let stand_in = StandIn::start(forge);
        let ran = stand_in.comment(dir.path(), plan(), &["--head", "fedcba9876543210fedcba9876543210fedcba98"]);
        assert_eq!((ran.code, stand_in.writes().len()), (3, 0), "{forge}: {}", ran.err);
        assert!(ran.err.contains("pull request 7 is at 0123456789ab"), "{forge}: {}", ran.err);
        let ran = stand_in.comment(dir.path(), plan(), &["--head", HEAD, "--author", "robot"]);
        assert_eq!((ran.code, stand_in.writes().len()), (0, 1), "{forge}: {}", ran.err);
        let ran = stand_in.comment(dir.path(), plan(), &["--pull-request", "8"]);
        assert_eq!((ran.code, stand_in.writes().len()), (2, 0), "{forge}: {}", ran.err);
        assert!(ran.err.contains("the forge answers 404 Not Found: Not Found"), "{forge}: {}", ran.err);
    }
}

#[test]
fn a_forge_that_fails_or_sends_elsewhere_gets_no_comment() {
    let dir = tempfile::tempdir().expect("a folder");
    let (stand_in, elsewhere) = (StandIn::start("gitlab"), StandIn::start("gitlab"));
    let target: &'static str = Box::leak(format!("{}/user", elsewhere.api).into_boxed_str());
    for (status, location) in [(500, ""), (302, target), (401, "")] {
        stand_in.state.lock().expect("lock").broken = Some((status, location));
        let ran = stand_in.comment(dir.path(), plan(), &["--author", "robot"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{status}: {}", ran.err);
        assert!(ran.err.contains(&format!("the forge answers {status}")) && ran.err.len() < 600, "{}", ran.err);
        assert!(!ran.err.contains('\x1b'), "{}", ran.err);
    }
    assert!(elsewhere.state.lock().expect("lock").asked.is_empty(), "the token is for one host");
    // Nobody is there; a token is not sent in the clear; something is missing.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (gone, clear) = (format!("http://{free}"), "http://forge.example.org".to_owned());
    for (api, words) in [(&gone, "failed"), (&clear, "is not https: a token is not sent in the clear")] {
        let ran = stand_in.comment(dir.path(), plan(), &["--api", api]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    let text = plan().to_string();
    let token = [("GITHUB_TOKEN", TOKEN)];
    let github = ["ci", "comment", "--forge", "github"];
    for (environment, more, words) in [
        (&[][..], &["ci", "comment"][..], "which forge"),
        (&token, &github, "--project"),
        (&token, &[&github[..], &["--project", "a/b"]].concat(), "--pull-request"),
        (&[], &[&github[..], &["--project", "a/b", "--pull-request", "1"]].concat(), "ESPALIER_FORGE_TOKEN"),
        (&token, &[&github[..], &["--project", "a/../b"]].concat(), "is no name of a project"),
        (&token, &[&github[..], &["--project", "a/b?c=d"]].concat(), "is no name of a project"),
    ] {
        let ran = run_in(dir.path(), environment, &text, more);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{more:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{more:?}: {}", ran.err);
    }
}

#[test]
fn a_dry_run_says_what_would_be_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    let stand_in = StandIn::start("github");
    let ran = stand_in.comment(dir.path(), plan(), &["--dry-run"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let api = format!("{}/repos/org/landscapes/issues", stand_in.api);
    let head = format!(
        "GET {api}/7/comments?per_page=100&page=1\n  for a comment of one's own that begins with <!-- espalier:plan:local:v1 -->\n\
         PATCH {api}/comments/ID\n  if there is one that says something else\nPOST {api}/7/comments\n  if there is none\n\n\
         <!-- espalier:plan:local:v1 -->\n### espalier plan"
    );
    assert!(ran.out.starts_with(&head), "{}", ran.out);
    assert!(stand_in.state.lock().expect("lock").asked.is_empty(), "nothing is asked");
    let golden = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plan/comment.md")).expect("a file");
    assert!(ran.out.ends_with(&golden), "it is what `plan -o md` prints");
    let ran = run_in(dir.path(), &[], &nothing().to_string(), &["ci", "comment", "--dry-run", "--forge", "gitlab"]);
    assert!(ran.out.contains("PUT https://gitlab.com/api/v4/projects/PROJECT/merge_requests/N/notes/ID\n"), "{}", ran.out);
    assert!(ran.out.contains("without one, nothing is written") && ran.out.ends_with("No effect on `local`.\n"), "{}", ran.out);
}
