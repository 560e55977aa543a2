//! Commits that mean harm, case by case as the security reference numbers them (§7.1), at each budget and one past it.
//!
//! Elsewhere: links and submodules (1, 2) in `git` and `load`; duplicate keys, encodings and nesting (8, 10) in `document`; lost identities, twins,
//! foreign namespaces, unknown fields and forged annotations (11 to 13, 15, 16) in `load`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use espalier::admission::policy::Policies;
use espalier::admission::{Accepted, Memory, admit};
use espalier::document::{self, Budget as Reading};
use espalier::finding::{Findings, Severity};
use espalier::git::{Budget, Credentials, GitError, Location, Repo};
use espalier::landscape::{FileMemo, Landscape, load};
use espalier::snapshot::{EntryKind, MAX_FILE_BYTES, RepoPath, Revision, Snapshot};

use super::landscapes::{blob, of, snapshot};

mod text;

const NOW: i64 = 1_790_000_000;
const MAIN: &str = "refs/heads/main";
const LANDSCAPE: &str = "apiVersion: espalier.dev/v1alpha1\nkind: Landscape\nmetadata: {name: live}\n";
const PROJECT: &str = "apiVersion: core.gardener.cloud/v1beta1\nkind: Project\nmetadata: {name: shop}\n";
const SHOOT: &str = "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata:\n  name: prod\nspec:\n  region: eu\n";
const SHOOTS: &str = "projects/shop/shoots/prod.yaml";

/// A repository whose commits are written entry by entry, as no well-behaved Git would.
struct Hostile {
    dir: tempfile::TempDir,
    raw: git2::Repository,
}

impl Hostile {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let raw = git2::Repository::init_bare(dir.path().join("origin.git")).expect("a bare repository");
        Self { dir, raw }
    }

    fn path(&self) -> &Path {
        self.raw.path()
    }

    /// A tree of one entry.
    fn tree(&self, name: &str, id: git2::Oid, mode: i32) -> git2::Oid {
        let mut tree = self.raw.treebuilder(None).expect("builds");
        tree.insert(name, id, mode).expect("inserts");
        tree.write().expect("writes")
    }

    fn commit(&self, tree: git2::Oid) -> Revision {
        let who = git2::Signature::new("a", "a@b", &git2::Time::new(NOW, 0)).expect("valid");
        let tree = self.raw.find_tree(tree).expect("reads");
        let id = self.raw.commit(None, &who, &who, "Harm", &tree, &[]).expect("commits");
        self.raw.reference(MAIN, id, true, "pushed").expect("moves");
        Revision(id.to_string())
    }

    async fn read(&self, at: &Revision, budget: Budget) -> Result<Snapshot, GitError> {
        let location = Location::Path(self.path().to_owned());
        let repo = Repo::open_within(location, self.dir.path(), Credentials::default(), budget).await.expect("opens");
        repo.snapshot(at, "").await
    }
}

fn said(error: Result<Snapshot, GitError>) -> String {
    error.expect_err("over the budget").to_string()
}

fn with(files: &[(&str, &str)]) -> (Landscape, Findings) {
    let mut all = vec![("landscape.yaml", LANDSCAPE), ("projects/shop/project.yaml", PROJECT)];
    all.retain(|(path, _)| !files.iter().any(|(other, _)| other == path));
    all.extend(files);
    load(&snapshot(all), &mut FileMemo::default())
}

fn codes(findings: &Findings) -> Vec<&str> {
    let mut codes: Vec<&str> = findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.code.as_str()).collect();
    codes.dedup();
    codes
}

#[test]
fn case_3_names_that_are_not_the_same_everywhere() {
    let refused = [
        "projects/shop/shoots/a\u{200c}b.yaml",
        "projects/shop/shoots/\u{e9}.yaml",
        "projects/shop/shoots/e\u{301}.yaml",
        "projects/shop/shoots/a\nb.yaml",
        "projects/shop/shoots/a\0b.yaml",
        "projects/shop/shoots/a\\b.yaml",
        "projects/shop/../a.yaml",
        "projects/.git/a.yaml",
        "projects/.GIT/a.yaml",
        "projects/GIT~1/a.yaml",
        "projects/shop//a.yaml",
    ];
    for path in refused {
        let (landscape, findings) = with(&[(path, SHOOT)]);
        assert_eq!(codes(&findings), ["LOAD-PATH"], "{path:?}: {findings:#?}");
        assert_eq!((landscape.shoots.len(), landscape.unknown.len()), (0, 1), "{path:?}");
        let shown = findings.0[0].places[0].to_string();
        assert!(shown.is_ascii() && !shown.chars().any(char::is_control), "{shown:?}");
    }
    for path in ["projects/shop/shoots/a-b_c.1.yaml", "projects/shop/shoots/git.yaml", "projects/shop/shoots/.github.yaml"] {
        assert_eq!(codes(&with(&[(path, SHOOT)]).1), [""; 0], "{path}");
    }
    let (landscape, findings) = with(&[("projects/shop/shoots/Shoot.yaml", SHOOT), ("projects/shop/shoots/shoot.yaml", SHOOT)]);
    assert_eq!(codes(&findings), ["LOAD-PATH"]);
    assert_eq!(landscape.unknown.len(), 1);
    let outside = with(&[("docs/\u{e9}.md", "fine"), ("docs/a\\b.yaml", "fine")]);
    assert_eq!(codes(&outside.1), [""; 0], "nobody looks at what is not claimed");
}

#[tokio::test]
async fn case_4_trees_that_never_end() {
    let hostile = Hostile::new();
    let leaf = hostile.raw.blob(b"a: 1\n").expect("writes");
    // Ten folders of ten, thrice: one tree object each, named many times.
    let mut tree = hostile.tree("a.yaml", leaf, 0o100_644);
    for _ in 0..3 {
        let mut wide = hostile.raw.treebuilder(None).expect("builds");
        for n in 0..10 {
            wide.insert(format!("d{n}"), tree, 0o040_000).expect("inserts");
        }
        tree = wide.write().expect("writes");
    }
    let at = hostile.commit(tree);
    let entries = 10 + 100 + 1_000 + 1_000;
    let read = hostile.read(&at, Budget { entries, ..Budget::default() }).await.expect("at the limit");
    assert_eq!(read.files.len(), 1_000);
    let over = said(hostile.read(&at, Budget { entries: entries - 1, ..Budget::default() }).await);
    assert!(over.contains("more than 2109 entries"), "{over}");

    let deep = |levels: usize| {
        let mut tree = hostile.tree("a.yaml", leaf, 0o100_644);
        for _ in 0..levels {
            tree = hostile.tree("d", tree, 0o040_000);
        }
        hostile.commit(tree)
    };
    let budget = Budget::default();
    assert_eq!(hostile.read(&deep(budget.depth), budget).await.expect("at the limit").files.len(), 1);
    let over = said(hostile.read(&deep(budget.depth + 1), budget).await);
    assert!(over.contains("more than 64 folders inside each other"), "{over}");

    let long = |length: usize| hostile.commit(hostile.tree(&"x".repeat(length), leaf, 0o100_644));
    assert_eq!(hostile.read(&long(budget.path), budget).await.expect("at the limit").files.len(), 1);
    let over = said(hostile.read(&long(budget.path + 1), budget).await);
    assert!(over.contains("more than 1024 bytes of a path"), "{over}");
}

#[tokio::test]
async fn case_4_a_million_entries_are_not_walked() {
    let hostile = Hostile::new();
    let leaf = hostile.raw.blob(b"a: 1\n").expect("writes");
    let mut tree = hostile.tree("a.yaml", leaf, 0o100_644);
    for _ in 0..3 {
        let mut wide = hostile.raw.treebuilder(None).expect("builds");
        for n in 0..100 {
            wide.insert(format!("d{n}"), tree, 0o040_000).expect("inserts");
        }
        tree = wide.write().expect("writes");
    }
    let at = hostile.commit(tree);
    let over = said(hostile.read(&at, Budget::default()).await);
    assert!(over.contains("more than 200000 entries"), "{over}");
}

#[tokio::test]
async fn case_5_and_6_files_are_not_unpacked_to_find_that_they_are_too_large() {
    let hostile = Hostile::new();
    let mut builder = hostile.raw.treebuilder(None).expect("builds");
    let file = |bytes: Vec<u8>| hostile.raw.blob(&bytes).expect("writes");
    builder.insert("at.yaml", file(vec![b'#'; MAX_FILE_BYTES]), 0o100_644).expect("inserts");
    builder.insert("past.yaml", file(vec![b'#'; MAX_FILE_BYTES + 1]), 0o100_644).expect("inserts");
    // 64 MiB of nothing, which is some kilobytes when packed.
    builder.insert("bomb.yaml", file(vec![0; 64 << 20]), 0o100_644).expect("inserts");
    let at = hostile.commit(builder.write().expect("writes"));
    let read = hostile.read(&at, Budget::default()).await.expect("the others can be read");
    let seen: Vec<(&str, EntryKind, usize)> =
        read.files.iter().map(|(path, blob)| (path.as_str(), blob.kind, blob.bytes.len())).collect();
    assert_eq!(
        seen,
        [
            ("at.yaml", EntryKind::File, MAX_FILE_BYTES),
            ("bomb.yaml", EntryKind::TooLarge, 0),
            ("past.yaml", EntryKind::TooLarge, 0)
        ]
    );
    let all = MAX_FILE_BYTES;
    assert!(hostile.read(&at, Budget { all, ..Budget::default() }).await.is_ok(), "at the limit");
    let over = said(hostile.read(&at, Budget { all: all - 1, ..Budget::default() }).await);
    assert!(over.contains("bytes of files"), "{over}");
}

#[test]
fn case_5_a_file_that_was_not_read_stops_deletions() {
    let mut large = blob(b"");
    large.kind = EntryKind::TooLarge;
    let files = [("landscape.yaml", blob(LANDSCAPE.as_bytes())), ("seeds/a.yaml", large.clone()), ("docs/film.mp4", large)];
    let files = files.into_iter().map(|(path, blob)| (RepoPath::from(path), blob)).collect();
    let (landscape, findings) = load(&of(files), &mut FileMemo::default());
    assert_eq!(codes(&findings), ["LOAD-SIZE"]);
    assert_eq!(landscape.unknown.iter().map(ToString::to_string).collect::<Vec<_>>(), ["seeds/a.yaml"]);
}

#[tokio::test]
async fn case_6_a_pack_that_is_too_large_is_not_kept() {
    let hostile = Hostile::new();
    let noise: Vec<u8> = (0_u32..200_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let at = hostile.commit(hostile.tree("a.yaml", hostile.raw.blob(&noise).expect("writes"), 0o100_644));
    let location: Location = format!("file://{}", hostile.path().display()).parse().expect("a location");
    let mirror = |name: &str, pack: usize| {
        let (location, cache) = (location.clone(), hostile.dir.path().join(name));
        async move {
            Repo::open_within(location, &cache, Credentials::default(), Budget { pack, ..Budget::default() })
                .await
                .expect("opens")
        }
    };
    let fits = mirror("fits", 16 << 20).await;
    assert!(fits.fetch().await.expect("it is small enough"));
    let small = mirror("small", 1_000).await;
    let error = small.fetch().await.expect_err("it is too large");
    assert!(matches!(error, GitError::PackTooLarge { limit: 1_000, .. }), "{error}");
    assert_eq!(small.resolve(MAIN).await.expect("resolves"), None, "no branch has moved");
    assert!(matches!(small.snapshot(&at, "").await, Err(GitError::Missing(_))), "and nothing of it is there");
}

#[test]
fn case_14_kinds_that_do_not_belong_are_smuggled_into_a_project() {
    for (version, kind, code) in [
        ("v1", "Secret", "SECRET-PLAIN"),
        ("v1", "Pod", "LOAD-KIND"),
        ("v1", "ConfigMap", "LOAD-KIND"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "LOAD-KIND"),
        ("core.gardener.cloud/v1beta1", "Seed", "LOAD-PLACE"),
        ("core.gardener.cloud/v1beta1", "CloudProfile", "LOAD-PLACE"),
        ("core.gardener.cloud/v1beta1", "InternalSecret", "LOAD-KIND"),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
        let (landscape, findings) = with(&[(SHOOTS, &text)]);
        assert_eq!(codes(&findings), [code], "{kind}: {findings:#?}");
        assert!(landscape.seeds.is_empty() && landscape.cloud_profiles.is_empty(), "{kind}");
    }
}

#[test]
fn case_17_nothing_in_a_value_is_executed() {
    for value in ["${HOME}", "$(id)", "{{ .Values.x }}", "{{{x}}}", "`id`", "%{env:HOME}", "{{#each x}}{{/each}}"] {
        let text = SHOOT.replace("  name: prod\n", &format!("  name: prod\n  annotations: {{example.org/note: '{value}'}}\n"));
        let (landscape, findings) = with(&[(SHOOTS, &text)]);
        assert_eq!(codes(&findings), [""; 0], "{value}");
        let shoot = landscape.shoots.values().next().expect("it is read");
        assert_eq!(shoot.value.pointer("/metadata/annotations/example.org~1note").and_then(|v| v.as_str()), Some(value));
    }
    for tag in ["!!python/object:os.system", "!ENV", "!include", "!!binary", "!Ref"] {
        let (landscape, findings) = with(&[(SHOOTS, &SHOOT.replace("region: eu", &format!("region: {tag} eu")))]);
        assert!(landscape.shoots.is_empty(), "{tag}");
        assert_eq!(codes(&findings), ["DOC-TAG"], "{tag}");
    }
}

#[test]
fn objects_are_no_larger_than_a_server_takes_them() {
    let grown = |head: &str, size: usize| {
        let object = |text: &str| {
            let parsed = document::parse(&RepoPath::from("x.yaml"), text.as_bytes(), &Reading::default());
            parsed.documents[0].value().to_string().len()
        };
        let list = |words: usize, last: usize| {
            let long = "x".repeat(1_000);
            let words = (0..words).fold(String::new(), |all, n| all + &format!("    example.org/{n:04}: {long}\n"));
            format!(
                "{}    example.org/last: {}\n",
                head.replace("  name: ", "  annotations:\n@  name: ").replace('@', &words),
                "y".repeat(last)
            )
        };
        let place = |words: usize, last: usize| {
            let text = list(words, last);
            // The last annotation belongs below the others.
            let (text, tail) = text.rsplit_once("    example.org/last").expect("it is there");
            text.replacen("  annotations:\n", &format!("  annotations:\n    example.org/last{tail}"), 1)
        };
        let words = (size - 2_500) / 1_020;
        let missing = size - object(&place(words, 1));
        let text = place(words, 1 + missing);
        assert_eq!(object(&text), size);
        text
    };
    let project = "apiVersion: core.gardener.cloud/v1beta1\nkind: Project\nmetadata:\n  name: shop\n";
    for (path, head, most) in [(SHOOTS, SHOOT, 750 << 10), ("projects/shop/project.yaml", project, 300 << 10)] {
        assert_eq!(codes(&with(&[(path, &grown(head, most))]).1), [""; 0], "{path}");
        assert_eq!(codes(&with(&[(path, &grown(head, most + 1))]).1), ["LOAD-SIZE"], "{path}");
    }
}

#[test]
fn case_20_a_commit_that_changes_no_manifest_changes_nothing() {
    let files = |more: &[(&'static str, &'static str)]| {
        let mut files = vec![("landscape.yaml", LANDSCAPE), ("projects/shop/project.yaml", PROJECT), (SHOOTS, SHOOT)];
        files.extend(more);
        load(&snapshot(files), &mut FileMemo::default()).0
    };
    let policies = Policies::compile(&BTreeMap::new()).0;
    let mut memory = Memory::default();
    let mut pass = |landscape: &Landscape, accepted: &Accepted| admit(landscape, accepted, &policies, NOW, &mut memory);
    let (first, said) = pass(&files(&[]), &Accepted::default());
    let accepted = Accepted(Arc::new(first.objects.clone()));
    let (before, _) = pass(&files(&[]), &accepted);
    for more in [&[][..], &[("docs/new.md", "# words"), ("README.md", "words")][..]] {
        let (after, again) = pass(&files(more), &accepted);
        assert_eq!((&after.objects, &after.held, &after.gone), (&before.objects, &before.held, &before.gone));
        assert_eq!(after.evaluated, 0, "nothing is judged again");
        assert_eq!(again.count(Severity::Error), said.count(Severity::Error));
    }
}
