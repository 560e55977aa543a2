//! Remotes: a bare mirror per URL, fetch, and a push that moves a branch only from where we last saw it.
//!
//! Credentials go to the host that the location names and to no other: redirects are not followed, and the callback compares.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, ErrorCode, FetchOptions, FetchPrune, Oid, ProxyOptions,
    PushOptions, RemoteCallbacks, RemoteRedirect, Repository,
};
use zeroize::Zeroizing;

use super::error::GitError;
use super::location::{Location, Peer, split};
use super::thread::Worker;
use crate::digest;

const FETCH: &str = "fetch";
const PUSH: &str = "push to";
/// libgit2 asks again after each refusal; it must be told to stop.
const MAX_ATTEMPTS: usize = 4;

/// How to prove who we are, and whom to believe. Has no `Debug`.
#[derive(Clone, Default)]
pub struct Credentials {
    /// User name for https tokens and ssh; by default the one in the URL, then `git`.
    pub user: Option<String>,
    /// Token or password for https.
    pub token: Option<Zeroizing<String>>,
    /// Private key file for ssh.
    pub key: Option<PathBuf>,
    /// Its passphrase.
    pub passphrase: Option<Zeroizing<String>>,
    /// Whether to ask the ssh agent.
    pub agent: bool,
    /// SHA-256 of acceptable ssh host keys; if empty, `known_hosts` decides.
    pub host_keys: Vec<[u8; 32]>,
}

/// Where a mirror comes from.
#[derive(Clone)]
pub(super) struct Origin {
    url: String,
    peer: Peer,
    user: Option<String>,
    credentials: Credentials,
}

pub(super) fn open(
    location: &Location,
    cache: &Path,
    credentials: &Credentials,
) -> Result<(Repository, Option<Origin>), GitError> {
    match location {
        Location::Path(path) => {
            let repository = Repository::open(path).map_err(|source| GitError::Open { path: path.clone(), source })?;
            Ok((repository, None))
        }
        Location::Url { url, peer, user } => {
            let folder = cache.join(format!("{}.git", digest::of_bytes(url.as_bytes()).short()));
            let failed = |source| GitError::Open { path: folder.clone(), source };
            let repository = match Repository::open_bare(&folder) {
                Ok(repository) => repository,
                Err(e) if e.code() == ErrorCode::NotFound => Repository::init_bare(&folder).map_err(failed)?,
                Err(source) => return Err(failed(source)),
            };
            let origin = Origin { url: url.clone(), peer: peer.clone(), user: user.clone(), credentials: credentials.clone() };
            Ok((repository, Some(origin)))
        }
    }
}

pub(super) fn fetch(worker: &Worker) -> Result<bool, GitError> {
    let Some(origin) = worker.origin.clone() else { return Ok(false) };
    let failed = |source| GitError::remote(FETCH, &origin.url, source);
    let before = branches(&worker.repository)?;
    let mut remote = worker.repository.remote_anonymous(&origin.url).map_err(failed)?;
    let mut options = FetchOptions::new();
    let (most, over) = (worker.budget.pack, Cell::new(false));
    let mut callbacks = callbacks(&origin, &worker.cancelled);
    callbacks.transfer_progress(|progress| {
        over.set(progress.received_bytes() > most);
        !over.get() && !worker.cancelled.load(Ordering::Relaxed)
    });
    options
        .remote_callbacks(callbacks)
        .prune(FetchPrune::On)
        .download_tags(AutotagOption::None)
        .follow_redirects(RemoteRedirect::None)
        .proxy_options(proxy());
    let fetched = remote.fetch(&["+refs/heads/*:refs/heads/*"], Some(&mut options), None);
    drop((options, remote));
    if over.get() {
        return Err(GitError::PackTooLarge { url: origin.url.clone(), limit: most });
    }
    fetched.map_err(failed)?;
    Ok(branches(&worker.repository)? != before)
}

/// All branches and where they stand.
fn branches(repository: &Repository) -> Result<BTreeMap<Vec<u8>, Option<Oid>>, GitError> {
    let failed = |source| GitError::Read { what: "the branches".to_owned(), source };
    let mut all = BTreeMap::new();
    for reference in repository.references_glob("refs/heads/*").map_err(failed)? {
        let reference = reference.map_err(failed)?;
        all.insert(reference.name_bytes().to_vec(), reference.target());
    }
    Ok(all)
}

/// Moves `reference` at the remote from `expected` (absent: `None`) to `id`.
///
/// What the remote advertises at the start of the push is compared with `expected`, and the protocol sends that same value as
/// the old one, so the remote refuses the push if the branch moves in between.
pub(super) fn push(worker: &Worker, reference: &str, id: Oid, expected: Option<Oid>) -> Result<(), GitError> {
    let Some(origin) = worker.origin.clone() else { return Ok(()) };
    let repository = &worker.repository;
    let failed = |source| GitError::remote(PUSH, &origin.url, source);
    let raced = || GitError::Raced { reference: reference.to_owned() };
    // The refspec needs a name for what is pushed.
    let outgoing = format!("refs/espalier/outgoing/{id}");
    let mut name = repository.reference(&outgoing, id, true, "to be pushed").map_err(GitError::write("an outgoing commit"))?;

    let mut moved = false;
    let mut refusal: Option<String> = None;
    let pushed = {
        let mut callbacks = callbacks(&origin, &worker.cancelled);
        callbacks.push_negotiation(|updates| {
            moved = updates.iter().any(|update| update.src() != expected.unwrap_or(Oid::ZERO_SHA1));
            if moved { Err(git2::Error::from_str("the branch is not where it was expected")) } else { Ok(()) }
        });
        callbacks.push_update_reference(|_, status| {
            refusal = status.map(str::to_owned);
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks).follow_redirects(RemoteRedirect::None).proxy_options(proxy());
        repository
            .remote_anonymous(&origin.url)
            .and_then(|mut remote| remote.push(&[format!("{outgoing}:{reference}")], Some(&mut options)))
    };
    name.delete().map_err(GitError::write("an outgoing commit"))?;
    drop(name);
    if moved {
        return Err(raced());
    }
    match (pushed, refusal) {
        (Ok(()), None) => repository
            .reference(reference, id, true, "pushed")
            .map(drop)
            .map_err(GitError::write(format!("`{reference}` of the mirror"))),
        (Err(e), _) if e.code() == ErrorCode::NotFastForward => Err(raced()),
        (Err(source), _) => Err(failed(source)),
        (Ok(()), Some(reason)) => {
            // The remote says no: because the branch moved a moment ago, or because we may not.
            fetch(worker)?;
            let now = worker.repository.refname_to_id(reference).ok();
            if now == expected { Err(GitError::Rejected { reference: reference.to_owned(), reason }) } else { Err(raced()) }
        }
    }
}

fn proxy<'a>() -> ProxyOptions<'a> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

fn callbacks<'a>(origin: &'a Origin, cancelled: &'a Arc<AtomicBool>) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    let mut attempts = 0;
    callbacks.credentials(move |url, user, allowed| {
        attempts += 1;
        if attempts > MAX_ATTEMPTS {
            return Err(refusal(ErrorCode::Auth, "the remote accepted none of the credentials"));
        }
        credential(origin, url, user, allowed, attempts)
    });
    callbacks.certificate_check(move |certificate, host| {
        let Some(key) = certificate.as_hostkey() else { return Ok(CertificateCheckStatus::CertificatePassthrough) };
        if origin.credentials.host_keys.is_empty() {
            return Ok(CertificateCheckStatus::CertificatePassthrough);
        }
        let known = key.hash_sha256().is_some_and(|hash| origin.credentials.host_keys.contains(hash));
        if known {
            Ok(CertificateCheckStatus::CertificateOk)
        } else {
            Err(refusal(ErrorCode::Certificate, &format!("the ssh host key of {host} is not one of those configured")))
        }
    });
    callbacks.transfer_progress(move |_| !cancelled.load(Ordering::Relaxed));
    callbacks
}

fn refusal(code: ErrorCode, message: &str) -> git2::Error {
    git2::Error::new(code, git2::ErrorClass::Callback, message)
}

/// The credential for one question of the remote.
fn credential(
    origin: &Origin,
    url: &str,
    user: Option<&str>,
    allowed: CredentialType,
    attempt: usize,
) -> Result<Cred, git2::Error> {
    let bound = split(url).is_some_and(|(scheme, _, host)| scheme == origin.peer.scheme && host == origin.peer.host);
    if !bound {
        return Err(refusal(ErrorCode::Auth, "asked for credentials on behalf of another host than the configured one"));
    }
    let own = &origin.credentials;
    let user = own.user.as_deref().or(user).or(origin.user.as_deref()).unwrap_or("git");
    if allowed.contains(CredentialType::USERNAME) {
        return Cred::username(user);
    }
    if allowed.contains(CredentialType::SSH_KEY) {
        if let Some(key) = &own.key
            && (attempt <= 2 || !own.agent)
        {
            return Cred::ssh_key(user, None, key, own.passphrase.as_ref().map(|p| p.as_str()));
        }
        if own.agent {
            return Cred::ssh_key_from_agent(user);
        }
    }
    if allowed.contains(CredentialType::USER_PASS_PLAINTEXT)
        && let Some(token) = &own.token
    {
        return Cred::userpass_plaintext(user, token);
    }
    Err(refusal(ErrorCode::Auth, "the remote asks for credentials and none that fit are configured"))
}
