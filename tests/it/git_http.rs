//! The edge to Git over the network: Git's own HTTP server on loopback, with credentials, refusals and races.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use espalier::git::{Credentials, GitError, Location, Message, Repo};
use espalier::plan::ErrorClass;
use espalier::snapshot::{Changes, RepoPath};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use zeroize::Zeroizing;

const MAIN: &str = "refs/heads/main";
const NOW: i64 = 1_790_000_000;

type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// One forge with one repository; `hook` runs once, after the refs of a push were advertised and before it is taken.
struct Forge {
    origin: PathBuf,
    url: String,
    hook: Hook,
}

async fn forge(dir: &Path) -> Forge {
    let origin = dir.join("origin.git");
    let raw = git2::Repository::init_bare(&origin).expect("a bare repository");
    raw.config().and_then(|mut c| c.set_bool("http.receivepack", true)).expect("configured");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("an address");
    let hook: Hook = Arc::default();
    let (root, trigger) = (dir.to_owned(), Arc::clone(&hook));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (root, trigger) = (root.clone(), Arc::clone(&trigger));
            let service = service_fn(move |request| serve(root.clone(), Arc::clone(&trigger), request));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Forge { origin, url: format!("http://{address}/origin.git"), hook }
}

async fn serve(root: PathBuf, hook: Hook, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let plain = |status: u16, header: (&str, String)| {
        let response = Response::builder().status(status).header(header.0, header.1);
        Ok(response.body(Full::default()).expect("a response"))
    };
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if let Some(rest) = path.strip_prefix("/moved") {
        let host = head.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default().replace("127.0.0.1", "127.0.0.2");
        return plain(302, ("location", format!("http://{host}{rest}?{}", head.uri.query().unwrap_or_default())));
    }
    let expected = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("git:right"));
    if head.headers.get("authorization").and_then(|v| v.to_str().ok()) != Some(expected.as_str()) {
        return plain(401, ("www-authenticate", "Basic realm=\"forge\"".to_owned()));
    }
    if path.ends_with("/git-receive-pack")
        && let Some(hook) = hook.lock().expect("lock").take()
    {
        hook();
    }
    let input = body.collect().await.expect("a body").to_bytes();
    let (headers, uri, method) = (head.headers, head.uri, head.method);
    let header = move |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = std::process::Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "git")
            .env("PATH_INFO", path)
            .env("QUERY_STRING", uri.query().unwrap_or_default())
            .env("REQUEST_METHOD", method.as_str())
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", input.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("piped");
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
        let output = child.wait_with_output()?;
        writer.join().expect("no panic").map(|()| output.stdout)
    });
    let output = output.await.expect("no panic")?;
    let split = output.windows(4).position(|w| w == b"\r\n\r\n").expect("headers");
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..split]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        response = if name == "Status" { response.status(&value[..3]) } else { response.header(name, value) };
    }
    Ok(response.body(Full::new(Bytes::copy_from_slice(&output[split + 4..]))).expect("a response"))
}

async fn open(url: &str, cache: &Path, token: Option<&str>) -> Repo {
    let credentials = Credentials { token: token.map(|t| Zeroizing::new(t.to_owned())), ..Credentials::default() };
    Repo::open(url.parse::<Location>().expect("a location"), cache, credentials).await.expect("opens")
}

fn file(text: &str) -> Changes {
    [(RepoPath::from("a.yaml"), Some(text.to_owned()))].into()
}

fn message(subject: &str) -> Message {
    Message { subject: subject.to_owned(), ..Message::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_and_push_over_http_with_a_token() {
    let dir = tempfile::tempdir().expect("a folder");
    let forge = forge(dir.path()).await;
    let repo = open(&forge.url, &dir.path().join("cache"), Some("right")).await;
    assert!(!repo.fetch().await.expect("fetches an empty repository"));
    let one = repo.commit(MAIN, None, file("1\n"), message("One"), NOW).await.expect("pushes");
    let two = repo.commit(MAIN, Some(&one), file("2\n"), message("Two"), NOW).await.expect("pushes");
    let other = open(&forge.url, &dir.path().join("other"), Some("right")).await;
    assert!(other.fetch().await.expect("fetches"));
    assert_eq!(other.resolve(MAIN).await.expect("resolves"), Some(two.clone()));
    assert_eq!(&*other.snapshot(&two, "").await.expect("reads").files["a.yaml"].bytes, b"2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_other_hosts_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let forge = forge(dir.path()).await;
    for token in [None, Some("wrong")] {
        let error = open(&forge.url, &dir.path().join("cache"), token).await.fetch().await.expect_err("refused");
        assert_eq!(error.class(), ErrorClass::Denied, "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    let moved = forge.url.replace("/origin", "/moved/origin");
    let error = open(&moved, &dir.path().join("cache"), Some("right")).await.fetch().await.expect_err("not followed");
    assert!(matches!(error, GitError::Remote { .. } | GitError::Refused { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_moves_during_the_push_is_a_race() {
    let dir = tempfile::tempdir().expect("a folder");
    let forge = forge(dir.path()).await;
    let repo = open(&forge.url, &dir.path().join("cache"), Some("right")).await;
    let one = repo.commit(MAIN, None, file("1\n"), message("One"), NOW).await.expect("pushes");
    let origin = forge.origin.clone();
    let parent = git2::Oid::from_str(&one.0).expect("an id");
    *forge.hook.lock().expect("lock") = Some(Box::new(move || {
        let raw = git2::Repository::open_bare(&origin).expect("opens");
        let parent = raw.find_commit(parent).expect("exists");
        let who = git2::Signature::new("a", "a@b", &git2::Time::new(NOW, 0)).expect("valid");
        raw.commit(Some(MAIN), &who, &who, "Faster", &parent.tree().expect("a tree"), &[&parent]).expect("commits");
    }));
    let late = repo.commit(MAIN, Some(&one), file("2\n"), message("Late"), NOW).await;
    assert!(matches!(late, Err(GitError::Raced { .. })), "{late:?}");
    let tip = repo.resolve(MAIN).await.expect("resolves").expect("exists");
    assert_eq!(repo.log(&tip, None, 1).await.expect("walks")[0].subject, "Faster");
    assert!(repo.commit(MAIN, Some(&tip), file("2\n"), message("Again"), NOW).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_branch_is_said_to_be_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a folder");
    let forge = forge(dir.path()).await;
    let repo = open(&forge.url, &dir.path().join("cache"), Some("right")).await;
    let script = forge.origin.join("hooks/update");
    std::fs::create_dir_all(script.parent().expect("a folder")).expect("made");
    std::fs::write(&script, "#!/bin/sh\nexit 1\n").expect("written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let error = repo.commit(MAIN, None, file("1\n"), message("One"), NOW).await.expect_err("rejected");
    assert!(matches!(error, GitError::Rejected { .. }), "{error}");
    assert_eq!(repo.resolve(MAIN).await.expect("resolves"), None);
}
