//! Keys and certificates: ECDSA P-256, with the usages that Gardener's certificates have.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use zeroize::Zeroizing;

use super::recipe::MakeError;

/// Clocks of nodes differ: a certificate is valid from a little before it was made.
const BACKDATED_SECONDS: i64 = 60;
/// Validity of authorities, and of leaves for which nothing else is said; leaves are renewed long before.
const YEARS: i32 = 10;

/// A certificate and its key, as PEM.
pub(super) struct Pair {
    pub(super) certificate: Zeroizing<Vec<u8>>,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) valid_until: Timestamp,
}

/// What a certificate says.
#[derive(Default)]
pub(super) struct Subject<'a> {
    pub(super) common_name: &'a str,
    pub(super) organizations: &'a [String],
    pub(super) dns_names: &'a [String],
    pub(super) ip_addresses: &'a [String],
    pub(super) server: bool,
    pub(super) client: bool,
    /// How long it is valid, if not as long as leaves are.
    pub(super) lifetime: Option<SignedDuration>,
}

/// A new P-256 key.
pub(super) fn key() -> Result<KeyPair, MakeError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(MakeError::certificate)
}

/// A key as PEM (PKCS#8).
pub(super) fn key_pem(key: &KeyPair) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Zeroizing::new(key.serialize_pem()).as_bytes().to_vec())
}

/// The public half of a private key, as PEM.
pub(super) fn public_pem(private: &[u8]) -> Result<Vec<u8>, MakeError> {
    Ok(read_key(private)?.public_key_pem().into_bytes())
}

fn read_key(pem: &[u8]) -> Result<KeyPair, MakeError> {
    let text = std::str::from_utf8(pem).map_err(|_| MakeError::Unreadable("a private key"))?;
    KeyPair::from_pem(text).map_err(|_| MakeError::Unreadable("a private key"))
}

fn params(subject: &Subject<'_>, now: Timestamp) -> Result<(CertificateParams, Timestamp), MakeError> {
    let until = match subject.lifetime {
        Some(lifetime) => now.checked_add(lifetime),
        None => now.in_tz("UTC").and_then(|at| at.checked_add(YEARS.years())).map(|at| at.timestamp()),
    };
    let until = until.map_err(|_| MakeError::Time)?;
    let mut params = CertificateParams::default();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now.as_second() - BACKDATED_SECONDS)?;
    params.not_after = epoch + since_epoch(until.as_second())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject.common_name);
    for organization in subject.organizations {
        params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    }
    for name in subject.dns_names {
        let name = name.as_str().try_into().map_err(MakeError::certificate)?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    for address in subject.ip_addresses {
        let address = address.parse().map_err(|_| MakeError::Address(address.clone()))?;
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    if subject.server {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    if subject.client {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    Ok((params, until))
}

fn since_epoch(seconds: i64) -> Result<Duration, MakeError> {
    u64::try_from(seconds).map(Duration::from_secs).map_err(|_| MakeError::Time)
}

/// A new authority.
pub(super) fn authority(common_name: &str, now: Timestamp) -> Result<Pair, MakeError> {
    let key = key()?;
    let (mut params, valid_until) = params(&Subject { common_name, ..Subject::default() }, now)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.extend([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
    let certificate = params.self_signed(&key).map_err(MakeError::certificate)?;
    Ok(Pair { certificate: Zeroizing::new(certificate.pem().into_bytes()), key: key_pem(&key), valid_until })
}

/// A certificate signed by an authority.
pub(super) fn leaf(
    subject: &Subject<'_>,
    authority_certificate: &[u8],
    authority_key: &[u8],
    now: Timestamp,
) -> Result<Pair, MakeError> {
    let issuer_pem = std::str::from_utf8(authority_certificate).map_err(|_| MakeError::Unreadable("a certificate authority"))?;
    let issuer = Issuer::from_ca_cert_pem(issuer_pem, read_key(authority_key)?)
        .map_err(|_| MakeError::Unreadable("a certificate authority"))?;
    let key = key()?;
    let (mut params, valid_until) = params(subject, now)?;
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).map_err(MakeError::certificate)?;
    Ok(Pair { certificate: Zeroizing::new(certificate.pem().into_bytes()), key: key_pem(&key), valid_until })
}
