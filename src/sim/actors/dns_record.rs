//! DNSRecord: a record at a DNS provider. Says in which zone it is.

use serde_json::{Value, json};

use super::Cx;
use super::handshake::{Extension, Problem, Progress, require_secret_ref};
use super::object::{EXTENSIONS, condition, items, text};

/// The controller of any DNS provider.
pub(super) struct DnsRecords;

impl Extension for DnsRecords {
    fn name(&self) -> &'static str {
        "gardener-extension-dnsrecord"
    }

    fn watches(&self) -> &'static [(&'static str, &'static str)] {
        &[(EXTENSIONS, "DNSRecord")]
    }

    fn reconcile(&self, cx: &mut Cx<'_>, object: &Value) -> Result<Progress, Problem> {
        require_secret_ref(cx, object)?;
        let values = items(object, "/spec/values");
        if values.is_empty() {
            return Err(Problem::Failed("the record has no values".into(), &["ERR_CONFIGURATION_PROBLEM"]));
        }
        for value in values {
            check_value(text(object, "/spec/recordType"), value.as_str().unwrap_or_default())?;
        }
        let name = text(object, "/spec/name");
        let zone = match text(object, "/spec/zone") {
            "" => zone_of(name).to_owned(),
            zone => zone.to_owned(),
        };
        let created = condition(object, "Created", "True", "RecordCreated", &format!("record {name} exists"), &cx.stamp());
        Ok(Progress::Done(json!({"zone": zone, "conditions": [created]})))
    }
}

/// A provider takes only addresses of the right family in A and AAAA records, and never an address in a CNAME.
fn check_value(kind: &str, value: &str) -> Result<(), Problem> {
    let address = value.parse::<std::net::IpAddr>();
    let fits = match kind {
        "A" => address.is_ok_and(|a| a.is_ipv4()),
        "AAAA" => address.is_ok_and(|a| a.is_ipv6()),
        "CNAME" => address.is_err(),
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err(Problem::Failed(format!("value {value:?} does not fit a record of type {kind}"), &["ERR_CONFIGURATION_PROBLEM"]))
    }
}

/// The zone that a provider would find for a name: its last two labels.
fn zone_of(name: &str) -> &str {
    name.rmatch_indices('.').nth(1).map_or(name, |(at, _)| &name[at + 1..])
}
