//! From a recipe to the bytes of a secret.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use ssh_key::rand_core::{OsRng, RngCore};
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use thiserror::Error;
use zeroize::Zeroizing;

use super::pki::{self, Pair, Subject};
use super::{OLD, data_checksum};
use crate::digest::hex;
use crate::document;
use crate::secrets::{Body, Recipe, Wanted};

/// Why a secret could not be made. Never contains secret values.
#[derive(Debug, Error)]
pub enum MakeError {
    /// The recipe names something that it was not given.
    #[error("the recipe reads `{0}`, which was not given")]
    NotGiven(String),
    /// What it was given lacks a part.
    #[error("`{config}` has no `{key}`")]
    Lacks {
        /// Configuration name.
        config: String,
        /// Data key.
        key: &'static str,
    },
    /// What it was given cannot be parsed.
    #[error("{0} that it is made from cannot be read")]
    Unreadable(&'static str),
    /// Not an IP address.
    #[error("`{0}` is not an IP address")]
    Address(String),
    /// The time is out of the calendar's range.
    #[error("the clock shows a time for which no certificate can be made")]
    Time,
    /// The certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Certificate(String),
    /// The SSH key could not be made.
    #[error("the SSH key could not be made")]
    Ssh,
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Password,
}

impl MakeError {
    pub(super) fn certificate(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// A secret, made but not posted. Has no `Debug`; its body is wiped when dropped.
pub struct Made {
    /// Data keys and bytes.
    pub body: Body,
    /// When it was made.
    pub issued: Timestamp,
    /// When its certificate ends.
    pub valid_until: Option<Timestamp>,
    /// Checksum of the data of the authority that signed it, as long as a label may be.
    pub authority_checksum: Option<String>,
}

/// Server certificates that are served with their authority appended.
const CHAINED: [&str; 2] = ["kube-apiserver", "kube-apiserver-http-proxy"];
/// Where components find the token of the generic kubeconfig.
const TOKEN_FILE: &str = "/var/run/secrets/gardener.cloud/shoot/generic-kubeconfig/token";
const KEY_SECONDS_PREFIX: &str = "key";
const TOKEN_LENGTH: usize = 128;
const PASSWORD_LENGTH: usize = 32;

/// What a recipe reads: bodies by configuration name, the older generation under the name with [`OLD`].
struct Inputs<'a>(&'a BTreeMap<String, &'a Body>);

impl<'a> Inputs<'a> {
    fn body(&self, config: &str) -> Result<&'a Body, MakeError> {
        self.0.get(config).copied().ok_or_else(|| MakeError::NotGiven(config.to_owned()))
    }

    fn get(&self, config: &str, key: &'static str) -> Result<&'a [u8], MakeError> {
        let lacks = || MakeError::Lacks { config: config.to_owned(), key };
        self.body(config)?.get(key).map(|v| v.as_slice()).ok_or_else(lacks)
    }

    fn old(&self, config: &str) -> Option<String> {
        let old = format!("{config}{OLD}");
        self.0.contains_key(&old).then_some(old)
    }

    /// The certificates to trust for an authority: its bundle, or its one certificate.
    fn trust(&self, config: &str) -> Result<&'a [u8], MakeError> {
        self.get(config, "bundle.crt").or_else(|_| self.get(config, "ca.crt"))
    }
}

/// Makes one secret.
///
/// `name` is the Secret's name; the common name of an authority is that name unless the recipe says another, so that two
/// generations of an authority differ.
pub fn make(name: &str, wanted: &Wanted, inputs: &BTreeMap<String, &Body>, now: Timestamp) -> Result<Made, MakeError> {
    let inputs = Inputs(inputs);
    let mut made = Made { body: Body::new(), issued: now, valid_until: None, authority_checksum: None };
    match &wanted.recipe {
        Recipe::Authority { common_name } => {
            let literal = !common_name.is_empty() && *common_name != wanted.config;
            let pair = pki::authority(if literal { common_name } else { name }, now)?;
            made.put_pair("ca.crt", "ca.key", pair);
        }
        Recipe::Bundle { of } => bundle(&mut made, of, &inputs)?,
        Recipe::Certificate { authority, common_name, organizations, dns_names, ip_addresses, server, client } => {
            let subject =
                Subject { common_name, organizations, dns_names, ip_addresses, server: *server, client: *client, lifetime: None };
            let mut pair = made.signed(&subject, authority, &inputs)?;
            if CHAINED.contains(&wanted.config.as_str()) {
                pair.certificate.extend_from_slice(inputs.get(authority, "ca.crt")?);
            }
            made.put_pair("tls.crt", "tls.key", pair);
        }
        Recipe::SigningKey => made.put("id_rsa", pki::key_pem(&pki::key()?)),
        Recipe::EncryptionKey => {
            made.put("provider", text("aescbc"));
            made.put("key", text(&format!("{KEY_SECONDS_PREFIX}{}", now.as_second())));
            made.put("secret", random(32));
            made.put("encoding", text("none"));
        }
        Recipe::EncryptionConfiguration { resources } => {
            let config = encryption_configuration(resources, &inputs)?;
            made.put("encryption-configuration.yaml", config);
        }
        Recipe::StaticToken => {
            let line = Zeroizing::new(format!("{},health-check,health-check,\n", &*random_text(TOKEN_LENGTH)));
            made.put("static_tokens.csv", text(&line));
        }
        Recipe::SshKeyPair => ssh_key_pair(&mut made)?,
        Recipe::BasicAuth { user } => basic_auth(&mut made, user)?,
        Recipe::VpnAuth => made.put("vpn.tlsauth", static_vpn_key()),
        Recipe::Kubeconfig { name, server, authority } => {
            let user = json!({ "tokenFile": TOKEN_FILE });
            made.put("kubeconfig", kubeconfig(name, server, inputs.trust(authority)?, user));
        }
        Recipe::ClientKubeconfig { name, server, server_authority, authority, common_name, organizations } => {
            let subject = Subject { common_name, organizations, client: true, ..Subject::default() };
            let pair = made.signed(&subject, authority, &inputs)?;
            let user = json!({
                "client-certificate-data": STANDARD.encode(pair.certificate.as_slice()),
                "client-key-data": STANDARD.encode(pair.key.as_slice()),
            });
            made.put("kubeconfig", kubeconfig(name, server, inputs.trust(server_authority)?, user));
            made.put_pair(&format!("{}.crt", wanted.config), &format!("{}.key", wanted.config), pair);
        }
        Recipe::RandomKey => made.put("key", random(32)),
    }
    Ok(made)
}

impl Made {
    fn put(&mut self, key: &str, value: Zeroizing<Vec<u8>>) {
        self.body.insert(key.to_owned(), value);
    }

    fn put_pair(&mut self, certificate: &str, key: &str, pair: Pair) {
        self.valid_until = Some(pair.valid_until);
        self.put(certificate, pair.certificate);
        self.put(key, pair.key);
    }

    /// A certificate, and the checksum of what signed it.
    fn signed(&mut self, subject: &Subject<'_>, authority: &str, inputs: &Inputs<'_>) -> Result<Pair, MakeError> {
        let checksum = data_checksum(inputs.body(authority)?);
        self.authority_checksum = Some(checksum.chars().take(63).collect());
        pki::leaf(subject, inputs.get(authority, "ca.crt")?, inputs.get(authority, "ca.key")?, self.issued)
    }
}

/// Current, then old: certificates of an authority, or public halves of signing keys.
fn bundle(made: &mut Made, of: &str, inputs: &Inputs<'_>) -> Result<(), MakeError> {
    let generations: Vec<String> = [Some(of.to_owned()), inputs.old(of)].into_iter().flatten().collect();
    let is_key = inputs.body(of)?.contains_key("id_rsa");
    let mut all = Zeroizing::new(Vec::new());
    for config in &generations {
        if is_key {
            all.extend_from_slice(&pki::public_pem(inputs.get(config, "id_rsa")?)?);
        } else {
            all.extend_from_slice(inputs.get(config, "ca.crt")?);
        }
    }
    made.put(if is_key { "bundle.key" } else { "bundle.crt" }, all);
    Ok(())
}

/// The file that tells an API server how to encrypt at rest: the current key writes, an old one still reads, and what was never
/// encrypted can be read as well.
fn encryption_configuration(resources: &[String], inputs: &Inputs<'_>) -> Result<Zeroizing<Vec<u8>>, MakeError> {
    let (old, current): (Vec<&String>, Vec<&String>) = inputs.0.keys().partition(|config| config.ends_with(OLD));
    if current.is_empty() {
        return Err(MakeError::NotGiven("the encryption key".to_owned()));
    }
    let mut providers: Vec<(String, Vec<Value>)> = Vec::new();
    for config in current.into_iter().chain(old) {
        let plain = |key| inputs.get(config, key).ok().and_then(|v| std::str::from_utf8(v).ok()).unwrap_or_default();
        let provider = if plain("provider").is_empty() { "aescbc" } else { plain("provider") };
        let secret = inputs.get(config, "secret")?;
        // Written by an older Gardener without an encoding, the value is in base64 already.
        let secret = match plain("encoding") {
            "none" => STANDARD.encode(secret),
            _ => String::from_utf8(secret.to_vec()).map_err(|_| MakeError::Unreadable("an encryption key"))?,
        };
        let key = json!({ "name": plain("key"), "secret": secret });
        match providers.last_mut() {
            Some((same, keys)) if same == provider => keys.push(key),
            _ => providers.push((provider.to_owned(), vec![key])),
        }
    }
    let mut providers: Vec<Value> = providers.into_iter().map(|(name, keys)| json!({ name: { "keys": keys } })).collect();
    providers.push(json!({ "identity": {} }));
    let mut all: Vec<&str> = resources.iter().map(String::as_str).collect();
    if !all.contains(&"secrets") {
        all.push("secrets");
    }
    let config = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{ "resources": all, "providers": providers }],
    });
    Ok(yaml(&config))
}

fn kubeconfig(name: &str, server: &str, trust: &[u8], user: Value) -> Zeroizing<Vec<u8>> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{ "name": name, "cluster": { "server": server, "certificate-authority-data": STANDARD.encode(trust) } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "users": [{ "name": name, "user": user }],
    });
    yaml(&config)
}

fn ssh_key_pair(made: &mut Made) -> Result<(), MakeError> {
    let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(|_| MakeError::Ssh)?;
    let private = key.to_openssh(LineEnding::LF).map_err(|_| MakeError::Ssh)?;
    let public = key.public_key().to_openssh().map_err(|_| MakeError::Ssh)?;
    made.put("id_rsa", text(&private));
    made.put("id_rsa.pub", text(&format!("{public}\n")));
    Ok(())
}

/// A user and a password, in plain and as the line of a file that web servers check passwords by.
fn basic_auth(made: &mut Made, user: &str) -> Result<(), MakeError> {
    let password = random_text(PASSWORD_LENGTH);
    // As many rounds as Go's own default: it is checked at every request.
    let hash = bcrypt::hash(password.as_bytes(), 10).map_err(|_| MakeError::Password)?;
    made.put("username", text(user));
    made.put("auth", text(&format!("{user}:{hash}")));
    made.put("password", text(&password));
    Ok(())
}

/// 2048 random bits in the form that OpenVPN reads.
fn static_vpn_key() -> Zeroizing<Vec<u8>> {
    let digits = Zeroizing::new(hex(&random(256)));
    let mut file = Zeroizing::new(Vec::with_capacity(640));
    file.extend_from_slice(b"-----BEGIN OpenVPN Static key V1-----\n");
    for line in digits.as_bytes().chunks(32) {
        file.extend_from_slice(line);
        file.push(b'\n');
    }
    file.extend_from_slice(b"-----END OpenVPN Static key V1-----\n");
    file
}

fn text(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn yaml(value: &Value) -> Zeroizing<Vec<u8>> {
    text(&Zeroizing::new(document::to_yaml(value)))
}

fn random(length: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// Random letters and digits: six bits a character, without the two that are not alphanumeric.
fn random_text(length: usize) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(length));
    while out.len() < length {
        let encoded = Zeroizing::new(STANDARD.encode(&*random(96)));
        let room = length - out.len();
        out.extend(encoded.chars().filter(char::is_ascii_alphanumeric).take(room));
    }
    out
}
