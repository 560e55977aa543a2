//! A test that runs apart: the same test again, in namespaces of its own, as the first process there. Whatever it starts or mounts
//! is gone with it, however it ends.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::server::assets;

/// Says to the inner process that it is the inner one, and whether it may become other users.
const INSIDE: &str = "ESPALIER_BOOT_INSIDE";

/// The machine that the pods run on, for the first process in it.
pub(super) struct Node {
    /// The real binaries.
    pub(super) assets: PathBuf,
    /// Nothing but this test's, in memory.
    pub(super) folder: PathBuf,
    /// Whether processes can run as the users that their pods ask for.
    pub(super) users: bool,
}

/// What the kernel gives a new namespace to begin with: loopback, a bridge for the pods, nothing of the machine's `/run`.
const FURNISH: &str = r#"
set -e
mount -t tmpfs tmpfs "$TMPDIR"
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add name pods type bridge
ip addr add 10.1.0.1/24 dev pods
ip link set pods up
exec "$@"
"#;

/// How namespaces can be made here, and whether with other users in them.
#[allow(clippy::print_stdout, reason = "a test that is skipped says why")]
fn unshare() -> Option<(&'static [&'static str], bool)> {
    let ways: [(&[&str], bool); 2] =
        [(&["--mount", "--net", "--pid"], true), (&["--map-root-user", "--mount", "--net", "--pid"], false)];
    let mut why = String::new();
    let trial = "mount -t tmpfs tmpfs /run && ip link add name pods type bridge && ip link add name one type veth peer name two && ip netns add pod";
    for (flags, users) in ways {
        let ran = Command::new("unshare").args(flags).args(["--fork", "--kill-child", "sh", "-c", trial]).output();
        match ran {
            Ok(ran) if ran.status.success() => return Some((flags, users)),
            Ok(ran) => String::from_utf8_lossy(&ran.stderr).trim().clone_into(&mut why),
            Err(error) => why = error.to_string(),
        }
    }
    println!("skipped: no namespaces of its own for a test here: {why}");
    None
}

/// The node, for the process that is in it. The outer process starts that one and gets `None` when it has ended well.
#[allow(clippy::print_stdout, reason = "the transcript of the inner process")]
pub(super) fn node(test: &str) -> Option<Node> {
    let assets = assets()?;
    #[allow(clippy::disallowed_methods, reason = "the variable is how the inner process is told")]
    if let Ok(users) = std::env::var(INSIDE) {
        // The outer process holds the other end for as long as it lives.
        std::thread::spawn(|| {
            drop(std::io::stdin().read_to_end(&mut Vec::new()));
            std::process::abort();
        });
        return Some(Node { assets, folder: std::env::temp_dir(), users: users == "users" });
    }
    let (flags, users) = unshare()?;
    let folder = tempfile::tempdir().expect("a folder");
    let mut inner = Command::new("unshare")
        .args(flags)
        .args(["--fork", "--kill-child", "--mount-proc", "sh", "-c", FURNISH, "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, if users { "users" } else { "root" })
        .env("TMPDIR", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare starts");
    // Kept until the end: its closing ends the inner process.
    let _held = inner.stdin.take();
    let mut complaints = inner.stderr.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        drop(complaints.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut text = Vec::new();
    inner.stdout.take().expect("a pipe").read_to_end(&mut text).expect("readable");
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = inner.wait().expect("it ends");
    let complaints = reader.join().expect("no panic");
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("boot: ")).collect();
    println!("{}", told.join("\n"));
    assert!(status.success(), "{test} apart: {status}\n{text}\n{complaints}");
    None
}
