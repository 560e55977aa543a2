//! The certificate that operators keep in a seed for every name below its ingress domain: what of it everybody may know, and whether
//! it can be used.
//!
//! An API server that cannot read a certificate that it is told to serve does not start, and a gateway drops the whole door. So a
//! pair is read here as they would read it before anything names it. What is wrong is said in words that show nothing of the key.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use zeroize::Zeroize as _;

use super::Body;

/// The key of the Secret with the certificate, and those that lead from it to an authority.
pub const CERTIFICATE: &str = "tls.crt";
/// The key of the Secret with the private key.
pub const KEY: &str = "tls.key";

/// People are told so long before it ends: a week, as long as a holiday.
const TOLD_BEFORE: i64 = 7 * 24 * 60 * 60;
/// So many of its names are shown.
const SHOWN: usize = 3;

/// What everybody may know of a certificate whose key is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    /// The DNS names that it is for.
    names: BTreeSet<String>,
    /// The first second in which it is valid.
    from: i64,
    /// The last.
    until: i64,
}

impl Wildcard {
    /// Reads it from the body of a Secret.
    ///
    /// # Errors
    /// In a person's words, why no server can use what is there.
    pub fn read(body: &Body) -> Result<Self, String> {
        let part = |key: &str| {
            let found = body.get(key).map(|data| data.as_slice()).filter(|data| !data.is_empty());
            found.ok_or_else(|| format!("it has no {key}"))
        };
        let (chain, key) = (part(CERTIFICATE)?, part(KEY)?);
        let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| format!("{CERTIFICATE} is not in PEM"))?;
        let mut certificates = Vec::with_capacity(chain.len());
        for (at, der) in chain.iter().enumerate() {
            let (_, certificate) = X509Certificate::from_der(der)
                .map_err(|_| format!("certificate {} of {} in {CERTIFICATE} cannot be read", at + 1, chain.len()))?;
            certificates.push(certificate);
        }
        let certificate = certificates.first().ok_or_else(|| format!("{CERTIFICATE} has no certificate in PEM"))?;
        let mut key = PrivateKeyDer::from_pem_slice(key).map_err(|_| format!("{KEY} has no private key in PEM"))?;
        let signing = any_supported_type(&key);
        key.zeroize();
        let signing = signing.map_err(|_| {
            format!("{KEY} cannot be used: what is known is RSA with 2048 bits and more, ECDSA on P-256 and P-384, and Ed25519")
        })?;
        if signing.public_key().is_none_or(|public| public.as_ref() != certificate.public_key().raw) {
            return Err(format!("{KEY} is not the key of the first certificate in {CERTIFICATE}"));
        }
        let usage = certificate.extended_key_usage().map_err(|_| format!("{CERTIFICATE} says twice what it is for"))?;
        if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
            return Err(format!("{CERTIFICATE} is not for servers"));
        }
        let named = certificate.subject_alternative_name().map_err(|_| format!("{CERTIFICATE} has names that cannot be read"))?;
        let names = named.into_iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let validity = certificate.validity();
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Ok(Self { names: names.collect(), from, until })
    }

    /// Whether it can be used now, for a seed with this ingress domain. Clients of today look at the alternative names alone.
    ///
    /// # Errors
    /// In a person's words, why not.
    pub fn usable(&self, domain: &str, now: i64) -> Result<(), String> {
        if domain.is_empty() {
            return Err("the seed has no spec.ingress.domain".to_owned());
        }
        let wanted = format!("*.{}", domain.to_ascii_lowercase());
        if !self.names.contains(&wanted) {
            let shown: Vec<&str> = self.names.iter().take(SHOWN).map(String::as_str).collect();
            let more = if self.names.len() > SHOWN { ", …" } else { "" };
            let names = if shown.is_empty() { "no name".to_owned() } else { format!("{}{more}", shown.join(", ")) };
            return Err(format!("it is for {names}, and not for {wanted}"));
        }
        if now < self.from {
            return Err(format!("it is valid only from {}", time(self.from)));
        }
        if now > self.until { Err(format!("it expired at {}", time(self.until))) } else { Ok(()) }
    }

    /// The last second in which it is valid.
    #[must_use]
    pub const fn until(&self) -> i64 {
        self.until
    }

    /// When it ends, if that is soon.
    #[must_use]
    pub fn ends_soon(&self, now: i64) -> Option<String> {
        (now >= self.until.saturating_sub(TOLD_BEFORE)).then(|| time(self.until))
    }

    /// When time will next move what is said of it.
    #[must_use]
    pub fn again(&self, now: i64) -> Option<i64> {
        let moments = [self.from, self.until.saturating_sub(TOLD_BEFORE), self.until.saturating_add(1)];
        moments.into_iter().filter(|moment| *moment > now).min()
    }
}

fn time(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| "a time that nobody will see".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
    use zeroize::Zeroizing;

    use super::*;

    /// 2026-11-21.
    const NOW: i64 = 1_795_219_200;
    const DAY: i64 = 86_400;

    fn pair(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2026, 11, 1);
        params.not_after = date_time_ymd(2026, 12, 1);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    fn body(certificate: &str, key: &str) -> Body {
        let data = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        Body::from([(CERTIFICATE.to_owned(), data(certificate)), (KEY.to_owned(), data(key))])
    }

    fn said(certificate: &str, key: &str) -> String {
        Wildcard::read(&body(certificate, key)).expect_err("it cannot be used")
    }

    #[test]
    fn a_pair_is_read_as_servers_read_it() {
        let (certificate, key) = pair(&["*.I.example.org", "i.example.org"], |_| {});
        let (other, _) = pair(&["*.i.example.org"], |_| {});
        let read = |certificate: &str| Wildcard::read(&body(certificate, &key));
        let wildcard = read(&certificate).expect("it can be used");
        assert_eq!(read(&format!("{certificate}{other}")), Ok(wildcard.clone()), "what leads to an authority follows");
        assert_eq!(wildcard.usable("i.example.org", NOW), Ok(()));
        assert_eq!(wildcard.usable("I.Example.org", NOW), Ok(()));

        assert_eq!(said(&certificate, ""), "it has no tls.key");
        assert_eq!(said("", &key), "it has no tls.crt");
        assert_eq!(said("hello", &key), "tls.crt has no certificate in PEM");
        assert_eq!(said("-----BEGIN CERTIFICATE-----\nhello", &key), "tls.crt is not in PEM");
        let cut = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert_eq!(said(&format!("{certificate}{cut}"), &key), "certificate 2 of 2 in tls.crt cannot be read");
        assert_eq!(said(&certificate, "hello"), "tls.key has no private key in PEM");
        assert_eq!(said(&certificate, &certificate), "tls.key has no private key in PEM");
        let unknown = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
        assert!(said(&certificate, unknown).starts_with("tls.key cannot be used: what is known is RSA"));
        assert_eq!(said(&other, &key), "tls.key is not the key of the first certificate in tls.crt");
        assert_eq!(said(&format!("{other}{certificate}"), &key), "tls.key is not the key of the first certificate in tls.crt");
        let clients = |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (for_clients, key) = pair(&["*.i.example.org"], clients);
        assert_eq!(said(&for_clients, &key), "tls.crt is not for servers");
    }

    #[test]
    fn a_certificate_is_for_every_name_below_the_domain_and_for_a_time() {
        let of = |names: &[&str]| {
            let (certificate, key) = pair(names, |_| {});
            Wildcard::read(&body(&certificate, &key)).expect("a pair")
        };
        let not = |names: &[&str]| of(names).usable("i.example.org", NOW).expect_err("it is for others");
        assert_eq!(not(&["i.example.org"]), "it is for i.example.org, and not for *.i.example.org");
        assert_eq!(not(&["*.example.org"]), "it is for *.example.org, and not for *.i.example.org");
        assert_eq!(not(&["d", "c", "b", "a"]), "it is for a, b, c, …, and not for *.i.example.org");
        assert_eq!(not(&[]), "it is for no name, and not for *.i.example.org");

        let wildcard = of(&["*.i.example.org"]);
        assert_eq!(wildcard.usable("", NOW), Err("the seed has no spec.ingress.domain".to_owned()));
        let (from, until) = (NOW - 20 * DAY, NOW + 10 * DAY);
        assert_eq!(wildcard.until(), until);
        let told = |now: i64| wildcard.usable("i.example.org", now).err();
        assert_eq!(told(from - 1).as_deref(), Some("it is valid only from 2026-11-01T00:00:00Z"));
        assert_eq!((told(from), told(until)), (None, None));
        assert_eq!(told(until + 1).as_deref(), Some("it expired at 2026-12-01T00:00:00Z"));
        assert_eq!((wildcard.ends_soon(NOW), wildcard.ends_soon(until - DAY).as_deref()), (None, Some("2026-12-01T00:00:00Z")));
        let moments = [from - 1, from, until - 7 * DAY, until, until + 1].map(|now| wildcard.again(now));
        assert_eq!(moments, [Some(from), Some(until - 7 * DAY), Some(until + 1), Some(until + 1), None]);
    }
}
