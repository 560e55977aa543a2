//! The certificate that operators keep in a seed for every name below its ingress domain (`components/seed-and-garden.md` §1.2): found
//! by its label, judged by what is in it, and used for the doors of the seed and of its shoots as long as it is right.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::render_owner::secrets_in;
use super::{Look, World};
use crate::finding::{Code, Finding, Findings};
use crate::landscape::{Kind, Owner, Target};
use crate::secrets::SecretRef;
use crate::secrets::wildcard::{CERTIFICATE, KEY, Wildcard};

/// The code of what is told about it.
pub const WILDCARD: Code = Code::new("SEED-WILDCARD-CERTIFICATE");
/// What the address of an API server below it is called: Gardener's `AdvertisedAddressWildcardTLSSeedBound`.
pub const ADDRESS: &str = "wildcard-tls-seed-bound";
/// The label that it is found by, as people write it.
const LABEL: &str = "gardener.cloud/role=controlplane-cert";

/// What was read of certificates, each at one version of its Secret. Nothing of it is secret.
pub(super) type Certificates = BTreeMap<SecretRef, (String, Result<Wildcard, String>)>;

/// What is known of a seed's wildcard certificate.
#[derive(Default)]
pub(super) struct Judged {
    /// Whether everything was read that it takes to judge.
    pub(super) known: bool,
    /// The Secret to use.
    pub(super) name: Option<String>,
    /// Secrets that have to be read first.
    pub(super) unread: BTreeSet<SecretRef>,
    /// What operators of the seed are told.
    pub(super) findings: Findings,
    /// When time will move the verdict, in seconds since the epoch.
    pub(super) again: Option<i64>,
}

impl World {
    /// The ingress domain of a seed; empty if it has none.
    pub(super) fn ingress_domain(&self, seed: &str) -> &str {
        let manifest = self.manifest(&Owner::cluster(Kind::Seed, seed));
        manifest.and_then(|m| m.pointer("/spec/ingress/domain")).and_then(Value::as_str).unwrap_or_default()
    }

    /// Judges the certificates of a seed. Of several that can be used, the one that is valid longest is. Of a seed that is not listed
    /// completely, what is seen counts: there nothing gets other content, and nothing goes.
    pub(super) fn wildcard(&self, seed: &str, look: &Look<'_>, read: &mut Certificates) -> Judged {
        let target = Target::Seed(seed.to_owned());
        let mut judged = Judged::default();
        let owner = Owner::cluster(Kind::Seed, seed);
        let (domain, now) = (self.ingress_domain(seed), look.now.as_second());
        let marked = secrets_in(look.observed, &target, "garden").filter(|o| o.is_wildcard_certificate() && !o.deleting);
        let (mut usable, mut there) = (Vec::new(), BTreeSet::new());
        for object in marked {
            let name = &object.key.name;
            let address = SecretRef::secret(target.clone(), "garden", name);
            there.insert(address.clone());
            let found = match look.bodies.0.get(&address) {
                Some(Some(body)) => {
                    let found = Wildcard::read(body);
                    read.insert(address, (object.resource_version.clone(), found.clone()));
                    found
                }
                // It went after it was seen.
                Some(None) => continue,
                None => match read.get(&address) {
                    Some((version, found)) if *version == object.resource_version => found.clone(),
                    _ => {
                        judged.unread.insert(address);
                        continue;
                    }
                },
            };
            let found = found.and_then(|certificate| {
                judged.again = [judged.again, certificate.again(now)].into_iter().flatten().min();
                certificate.usable(domain, now).map(|()| certificate)
            });
            match found {
                Ok(certificate) => usable.push((certificate, name)),
                Err(why) => {
                    let finding = told(&owner, format!("Secret garden/{name} is not used for {LABEL}: {why}"));
                    let help = format!("keep in {CERTIFICATE} a certificate for *.{domain}, and its key in {KEY}");
                    judged.findings.push(if domain.is_empty() { finding } else { finding.help(help) });
                }
            }
        }
        read.retain(|address, _| address.target != target || there.contains(address));
        if !judged.unread.is_empty() {
            return Judged { unread: judged.unread, ..Judged::default() };
        }
        judged.known = true;
        usable.sort_by(|(a, one), (b, other)| b.until().cmp(&a.until()).then_with(|| one.cmp(other)));
        if let [(_, used), others @ ..] = usable.as_slice()
            && !others.is_empty()
        {
            let others: Vec<&str> = others.iter().map(|(_, name)| name.as_str()).collect();
            let several = format!("{LABEL} is on several Secrets: garden/{used} is used, which is valid longest");
            let message = format!("{several}, and {} is not", others.join(", "));
            judged.findings.push(told(&owner, message).help("remove the label from all but one"));
        }
        if let Some((certificate, used)) = usable.first() {
            if let Some(end) = certificate.ends_soon(now) {
                let message =
                    format!("the certificate in Secret garden/{used} expires at {end}; then self-signed ones take its place");
                judged
                    .findings
                    .push(Finding::note(WILDCARD, message).of(&owner).help("put its successor in its place before that"));
            }
            judged.name = Some((*used).clone());
        }
        judged
    }
}

fn told(seed: &Owner, message: String) -> Finding {
    Finding::warning(WILDCARD, message).of(seed)
}
