//! The helpers of the template language, each a plain function.

mod authorizers;
mod dashboard;
mod garden;
mod machines;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::engine::{Known, Notes};
use super::script::append_escaped;
use crate::digest;
use crate::document;
use crate::facts::{STATIC_MANIFESTS, WILDCARD_CERTIFICATE};
use crate::secrets::SecretRef;

/// A helper that is a function of its arguments.
pub(crate) type Function = fn(&[&Value]) -> Result<Value, String>;

/// All of them by name.
pub(crate) const PURE: &[(&str, Function)] = &[
    ("sha256", sha256),
    ("hash8", hash8),
    ("b64", b64),
    ("join", join),
    ("concat", concat),
    ("default", default),
    ("cidr-host", cidr_host),
    ("version-at-least", version_at_least),
    ("contains", contains),
    ("starts-with", starts_with),
    ("add", add),
    ("size", size),
    ("quantity-max", quantity_max),
    ("repository-of", repository_of),
    ("tag-of", tag_of),
    ("dict", dict),
    ("list", list),
    ("advertise-address", advertise_address),
    ("node-groups", machines::node_groups),
    ("priority-expander", machines::priority_expander),
    ("dashboard", dashboard::dashboard),
    ("merge", merge),
    ("authorizers", authorizers::authorizers),
];

/// The helper of a name that is a function of its arguments.
pub(crate) fn pure(name: &str) -> Option<(&'static str, Function)> {
    PURE.iter().find(|(pure, _)| *pure == name).copied()
}

fn arg<'v>(arguments: &[&'v Value], index: usize) -> Result<&'v Value, String> {
    arguments.get(index).copied().ok_or_else(|| format!("takes at least {} arguments", index + 1))
}

fn text<'v>(arguments: &[&'v Value], index: usize) -> Result<&'v str, String> {
    arg(arguments, index)?.as_str().ok_or_else(|| format!("argument {} is not text", index + 1))
}

fn int(arguments: &[&Value], index: usize) -> Result<i64, String> {
    arg(arguments, index)?.as_i64().ok_or_else(|| format!("argument {} is not a whole number", index + 1))
}

/// A scalar as text; null as nothing. Lists and maps have no plain form.
fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(_) | Value::Object(_) => Err("a list or map is not a scalar".into()),
    }
}

/// What is hashed or encoded of a value: text as it is, anything else as canonical JSON.
fn bytes(value: &Value) -> String {
    value.as_str().map_or_else(|| digest::canonical(value), str::to_owned)
}

fn sha256(arguments: &[&Value]) -> Result<Value, String> {
    Ok(digest::of_bytes(bytes(arg(arguments, 0)?).as_bytes()).0.into())
}

fn hash8(arguments: &[&Value]) -> Result<Value, String> {
    Ok(digest::of_bytes(bytes(arg(arguments, 0)?).as_bytes()).short().into())
}

fn b64(arguments: &[&Value]) -> Result<Value, String> {
    Ok(STANDARD.encode(bytes(arg(arguments, 0)?)).into())
}

fn join(arguments: &[&Value]) -> Result<Value, String> {
    let items = arg(arguments, 0)?.as_array().ok_or("argument 1 is not a list")?;
    let separator = if arguments.len() > 1 { text(arguments, 1)? } else { "," };
    Ok(items.iter().map(scalar).collect::<Result<Vec<_>, _>>()?.join(separator).into())
}

fn concat(arguments: &[&Value]) -> Result<Value, String> {
    Ok(arguments.iter().map(|v| scalar(v)).collect::<Result<String, _>>()?.into())
}

fn default(arguments: &[&Value]) -> Result<Value, String> {
    let value = arg(arguments, 0)?;
    Ok(if value.is_null() { arg(arguments, 1)?.clone() } else { value.clone() })
}

fn cidr_host(arguments: &[&Value]) -> Result<Value, String> {
    let cidr = text(arguments, 0)?;
    let n = u128::try_from(int(arguments, 1)?).map_err(|_| "a host number is not negative")?;
    let network: ipnet::IpNet = cidr.parse().map_err(|_| format!("`{cidr}` is not a network"))?;
    let outside = || format!("`{cidr}` has no host {n}");
    let address = match network.trunc() {
        ipnet::IpNet::V4(net) => {
            let host = u32::from(net.network()).checked_add(u32::try_from(n).map_err(|_| outside())?).ok_or_else(outside)?;
            std::net::IpAddr::from(std::net::Ipv4Addr::from(host))
        }
        ipnet::IpNet::V6(net) => {
            let host = u128::from(net.network()).checked_add(n).ok_or_else(outside)?;
            std::net::IpAddr::from(std::net::Ipv6Addr::from(host))
        }
    };
    if network.contains(&address) { Ok(address.to_string().into()) } else { Err(outside()) }
}

/// Major, minor and patch; what is left out counts as zero.
fn version(text: &str) -> Result<[u64; 3], String> {
    let mut out = [0; 3];
    let core = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    let mut parts = core.split('.');
    for slot in &mut out {
        if let Some(part) = parts.next() {
            *slot = part.parse().map_err(|_| format!("`{text}` is not a version"))?;
        }
    }
    Ok(out)
}

fn version_at_least(arguments: &[&Value]) -> Result<Value, String> {
    Ok((version(text(arguments, 0)?)? >= version(text(arguments, 1)?)?).into())
}

fn contains(arguments: &[&Value]) -> Result<Value, String> {
    let item = arg(arguments, 1)?;
    match arg(arguments, 0)? {
        Value::Array(items) => Ok(items.contains(item).into()),
        Value::Object(map) => Ok(item.as_str().is_some_and(|key| map.contains_key(key)).into()),
        Value::String(hay) => Ok(item.as_str().is_some_and(|needle| hay.contains(needle)).into()),
        Value::Null => Ok(false.into()),
        Value::Bool(_) | Value::Number(_) => Err("argument 1 is neither a list, a map nor text".into()),
    }
}

fn starts_with(arguments: &[&Value]) -> Result<Value, String> {
    Ok(text(arguments, 0)?.starts_with(text(arguments, 1)?).into())
}

fn add(arguments: &[&Value]) -> Result<Value, String> {
    int(arguments, 0)?.checked_add(int(arguments, 1)?).map(Value::from).ok_or_else(|| "the sum is out of range".into())
}

fn size(arguments: &[&Value]) -> Result<Value, String> {
    Ok(match arg(arguments, 0)? {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        Value::String(text) => text.chars().count(),
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => return Err("a number or boolean has no size".into()),
    }
    .into())
}

/// A Kubernetes quantity as a number of thousandths; enough to compare requests and volume sizes.
fn thousandths(text: &str) -> Result<i128, String> {
    let wrong = || format!("`{text}` is not a quantity");
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let unit: i128 = match suffix {
        "" => 1_000,
        "m" => 1,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "P" => 1_000_000_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        "Pi" => 1_000 << 50,
        _ => return Err(wrong()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).map_err(|_| wrong())?).ok_or_else(wrong)?;
    digits.checked_mul(unit).map(|n| n / scale).ok_or_else(wrong)
}

fn quantity_max(arguments: &[&Value]) -> Result<Value, String> {
    let (a, b) = (scalar(arg(arguments, 0)?)?, scalar(arg(arguments, 1)?)?);
    Ok(if thousandths(&a)? >= thousandths(&b)? { a } else { b }.into())
}

/// An image reference, cut where its tag begins; where it has a digest, where that begins. Whoever puts the parts together with a
/// colon gets the reference again.
fn cut(reference: &str) -> (&str, &str) {
    let last = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference[last..].rfind(':') {
        Some(colon) => (&reference[..last + colon], &reference[last + colon + 1..]),
        None => (reference, ""),
    }
}

fn repository_of(arguments: &[&Value]) -> Result<Value, String> {
    Ok(cut(text(arguments, 0)?).0.into())
}

fn tag_of(arguments: &[&Value]) -> Result<Value, String> {
    Ok(cut(text(arguments, 0)?).1.into())
}

/// The address under which an API server is found inside its shoot, from its Service's address in the seed: `240.b.c.d` for
/// `a.b.c.d`, below `64:ff9b:1::/96` where the shoot prefers IPv6, an IPv6 address as it is.
fn advertise_address(arguments: &[&Value]) -> Result<Value, String> {
    let (address, prefer_v6) = (text(arguments, 0)?, arguments.get(1).and_then(|v| v.as_bool()).unwrap_or(false));
    if is_symbol(address) {
        return Ok(address.into());
    }
    let parsed: std::net::IpAddr = address.parse().map_err(|_| format!("`{address}` is not an address"))?;
    Ok(match parsed {
        std::net::IpAddr::V4(_) if prefer_v6 => format!("64:ff9b:1::{address}"),
        std::net::IpAddr::V4(v4) => {
            let [_, b, c, d] = v4.octets();
            std::net::Ipv4Addr::new(240, b, c, d).to_string()
        }
        std::net::IpAddr::V6(_) => address.to_owned(),
    }
    .into())
}

fn dict(arguments: &[&Value]) -> Result<Value, String> {
    let mut map = Map::new();
    for pair in arguments.chunks(2) {
        let [key, value] = pair else { return Err("takes pairs of key and value".into()) };
        map.insert(key.as_str().ok_or("a key is not text")?.to_owned(), (*value).clone());
    }
    Ok(Value::Object(map))
}

/// Maps in one: of what several of them say, the last counts; null says nothing.
fn merge(arguments: &[&Value]) -> Result<Value, String> {
    let mut all = Map::new();
    for (index, argument) in arguments.iter().enumerate().filter(|(_, argument)| !argument.is_null()) {
        let map = argument.as_object().ok_or_else(|| format!("argument {} is not a map", index + 1))?;
        all.extend(map.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Ok(Value::Object(all))
}

#[expect(clippy::unnecessary_wraps, reason = "has the shape of its siblings")]
fn list(arguments: &[&Value]) -> Result<Value, String> {
    Ok(Value::Array(arguments.iter().map(|v| (*v).clone()).collect()))
}

/// A value as JSON on one line, which is YAML too once everything unprintable is escaped.
pub(crate) fn json(value: &Value) -> String {
    let plain = value.to_string();
    if plain.bytes().all(|b| b < 0x7f) {
        return plain;
    }
    let unprintable = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !plain.contains(unprintable) {
        return plain;
    }
    plain.chars().map(|c| if unprintable(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// Writes a text as the inside of a JSON string, as [`json`] does.
pub(crate) fn append_json(out: &mut String, text: &str) {
    if text.bytes().all(|b| b < 0x7f) {
        append_escaped(out, text);
    } else {
        let said = json(&Value::String(text.to_owned()));
        out.push_str(said.strip_prefix('"').and_then(|said| said.strip_suffix('"')).unwrap_or(&said));
    }
}

/// A value as YAML: scalars and empty collections inline, everything else as a block of whole lines indented by `indent`.
pub(crate) fn yaml(value: &Value, indent: usize) -> (String, bool) {
    match value {
        Value::Array(items) if !items.is_empty() => {}
        Value::Object(map) if !map.is_empty() => {}
        scalar => return (json(scalar), false),
    }
    let pad = " ".repeat(indent);
    let lines: Vec<String> = document::to_yaml(value)
        .lines()
        .map(|line| if line.is_empty() { String::new() } else { format!("{pad}{line}") })
        .collect();
    (lines.join("\n"), true)
}

/// A symbol for what is not known offline: `<fact infrastructure.nodes>`.
pub(crate) fn symbol(kind: &str, arguments: &[&Value]) -> Value {
    let safe = |c: char| c.is_ascii_alphanumeric() || "._/:@+- ".contains(c);
    let words: Vec<String> = arguments
        .iter()
        .map(|v| bytes(v).chars().filter(|c| safe(*c)).collect::<String>().replace(": ", " ").trim_matches([':', ' ']).to_owned())
        .filter(|w| !w.is_empty())
        .collect();
    format!("<{kind} {}>", words.join(" ")).into()
}

/// Whether a text is a symbol.
pub(crate) fn is_symbol(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')) else { return false };
    inner.split_once(' ').is_some_and(|(kind, rest)| {
        !kind.is_empty()
            && kind.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && rest
                .split(' ')
                .all(|word| !word.ends_with(':') && word.chars().all(|c| c.is_ascii_alphanumeric() || "._/:@+-".contains(c)))
    })
}

/// Whether a value contains a symbol.
pub(crate) fn has_symbol(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            text.match_indices('<').any(|(at, _)| text[at..].find('>').is_some_and(|end| is_symbol(&text[at..=at + end])))
        }
        Value::Array(items) => items.iter().any(has_symbol),
        Value::Object(map) => map.values().any(has_symbol),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The roots of the context that these helpers look at.
pub(crate) const READ_OF_CONTEXT: [&str; 2] = ["kubernetes", "hibernated"];

/// The helpers that read what is known of clusters. Something missing is noted, not an error: the component waits as a whole.
pub(crate) fn read(
    name: &str,
    arguments: &[&Value],
    context: &Value,
    known: &Known<'_>,
    notes: &mut Notes,
) -> Result<Value, String> {
    match name {
        "image" => {
            let version = match arguments.get(1) {
                Some(version) => version.as_str().ok_or("argument 2 is not a version")?,
                None => context.pointer("/kubernetes/version").and_then(Value::as_str).unwrap_or_default(),
            };
            known.images.pick(text(arguments, 0)?, version).map(Value::String)
        }
        "replicas" => {
            let asleep = context.get("hibernated").and_then(Value::as_bool).unwrap_or(false);
            Ok(if asleep { 0.into() } else { arg(arguments, 0)?.clone() })
        }
        "has-fact" => Ok((known.offline || fact(arguments, known)?.is_some()).into()),
        "fact" => {
            if known.offline {
                return Ok(symbol("fact", arguments));
            }
            let (name, of) = (text(arguments, 0)?, arguments.get(1).and_then(|key| key.as_str()));
            Ok(fact(arguments, known)?.cloned().unwrap_or_else(|| {
                notes.waiting.push(of.map_or_else(|| format!("fact {name}"), |of| format!("fact {name} of {of}")));
                Value::Null
            }))
        }
        "secret" => {
            if known.offline {
                return Ok(symbol("secret", arguments));
            }
            let config = text(arguments, 0)?;
            match arguments.get(1).map(|which| which.as_str()) {
                None => Ok(names(config, known, notes).map_or(Value::Null, |n| n.current.clone().into())),
                Some(Some("old")) => {
                    Ok(names(config, known, notes).and_then(|n| n.old.clone()).map_or(Value::Null, Value::String))
                }
                Some(_) => Err("the second argument can only be \"old\"".into()),
            }
        }
        "secret-checksum" => {
            if known.offline {
                return Ok(symbol("secret-checksum", arguments));
            }
            Ok(names(text(arguments, 0)?, known, notes).map_or(Value::Null, |n| n.checksum.clone().into()))
        }
        "secret-data" => secret_data(arguments, known, notes),
        "garden-secret" => garden::secret(arguments, known, notes),
        "garden-config" => garden::config(arguments, known, notes),
        "seed-secret" => garden::of_seed(arguments, known, notes),
        "chart" => chart(arguments, known, notes),
        // Offline nothing is known of what a seed has.
        "static-manifests" => Ok(known.facts.get(STATIC_MANIFESTS).cloned().unwrap_or_else(|| Value::Array(Vec::new()))),
        "wildcard-certificate" => Ok(wildcard_certificate(known, notes)),
        other => Err(format!("`{other}` does not read anything")),
    }
}

/// `chart DIGEST NAME`: the manifests of a rendered chart as one text. Secret, because its values may be. Null asks for a chart that
/// nobody names.
fn chart(arguments: &[&Value], known: &Known<'_>, notes: &mut Notes) -> Result<Value, String> {
    let name = text(arguments, 1)?;
    if known.offline {
        return Ok(symbol("chart", &arguments[1..]));
    }
    let Some(digest) = arg(arguments, 0)?.as_str() else {
        notes.waiting.push(format!("a ControllerDeployment with a chart for {name}"));
        return Ok(Value::Null);
    };
    match known.facts.chart(digest) {
        Some(Ok(manifests)) => Ok(handed_out(manifests, notes).into()),
        Some(Err(refused)) => {
            notes.refused = Some(refused.to_string());
            Ok(Value::Null)
        }
        None => {
            notes.waiting.push(format!("the chart of {name}, which is not rendered yet"));
            Ok(Value::Null)
        }
    }
}

/// `wildcard-certificate`: the name of the Secret with the seed's certificate for every name below its ingress domain, null where
/// there is none that can be used.
fn wildcard_certificate(known: &Known<'_>, notes: &mut Notes) -> Value {
    let found = known.facts.get(WILDCARD_CERTIFICATE).cloned();
    // Offline nothing is known of what a seed has.
    if found.is_none() && !known.offline {
        notes.waiting.push("the wildcard certificate of the seed, which was not read yet".to_owned());
    }
    found.unwrap_or_default()
}

/// `NAME [NAMESPACE]`: a fact, or what it is in one of several namespaces.
fn fact<'k>(arguments: &[&Value], known: &Known<'k>) -> Result<Option<&'k Value>, String> {
    let found = known.facts.get(text(arguments, 0)?);
    if arguments.len() < 2 {
        return Ok(found);
    }
    let namespace = text(arguments, 1)?;
    Ok(found.and_then(|by_namespace| by_namespace.get(namespace)))
}

fn names<'k>(config: &str, known: &Known<'k>, notes: &mut Notes) -> Option<&'k crate::secrets::Names> {
    let found = known.names.and_then(|names| names.get(config));
    if found.is_none() {
        notes.waiting.push(format!("secret {config}"));
    }
    found
}

/// An address as people read it.
fn named(address: &SecretRef) -> String {
    format!("{} {}/{} in the {}", address.kind.name(), address.namespace, address.name, address.target)
}

/// The body of a secret, or `None` after noting why there is none.
fn body<'k>(address: SecretRef, known: &Known<'k>, notes: &mut Notes) -> Option<&'k crate::secrets::Body> {
    match known.bodies.0.get(&address) {
        Some(Some(body)) => Some(body),
        Some(None) => {
            notes.waiting.push(format!("{}, which does not exist", named(&address)));
            None
        }
        None => {
            notes.waiting.push(format!("{}, which was not read yet", named(&address)));
            notes.needs_bodies.insert(address);
            None
        }
    }
}

fn secret_data(arguments: &[&Value], known: &Known<'_>, notes: &mut Notes) -> Result<Value, String> {
    let (config, key) = (text(arguments, 0)?, text(arguments, 1)?);
    if known.offline {
        return Ok(symbol("secret-data", arguments));
    }
    let Some(names) = names(config, known, notes) else { return Ok(Value::Null) };
    let address = SecretRef::secret(known.target.clone(), known.namespace, &names.current);
    let Some(body) = body(address, known, notes) else { return Ok(Value::Null) };
    let data = body.get(key).ok_or_else(|| format!("secret `{config}` has no key `{key}`"))?;
    let text = std::str::from_utf8(data).map_err(|_| format!("key `{key}` of secret `{config}` is not text"))?;
    // A third argument takes one field of a line of comma-separated values.
    let text = match arguments.get(2).and_then(|v| v.as_u64()) {
        Some(field) => text.trim_end().split(',').nth(usize::try_from(field).unwrap_or(usize::MAX)).unwrap_or_default(),
        None => text,
    };
    // What is public by nature may be shown.
    let public = names.public || matches!(key, "bundle.crt" | "ca.crt" | "tls.crt" | "id_rsa.pub");
    Ok(if public { text.into() } else { handed_out(text, notes).into() })
}

/// A secret value on its way into a manifest. Masked, every letter and digit is another one: lines, fields and lengths stay.
fn handed_out(text: &str, notes: &mut Notes) -> String {
    notes.secret = true;
    if !notes.masked {
        return text.to_owned();
    }
    text.chars()
        .map(|c| match c {
            'x' => 'y',
            c if c.is_ascii_alphanumeric() => 'x',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
        let (_, function) = pure(name).expect("the helper exists");
        function(&arguments.iter().collect::<Vec<_>>())
    }

    #[test]
    fn hashes_and_encodings() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(call("sha256", &[json!("abc")]), Ok(json!(abc)));
        assert_eq!(call("hash8", &[json!("abc")]), Ok(json!("ba7816bf")));
        assert_eq!(call("hash8", &[json!({"a": 1})]), call("hash8", &[json!("{\"a\":1}")]));
        assert_eq!(call("b64", &[json!("abc")]), Ok(json!("YWJj")));
    }

    #[test]
    fn lists_and_texts() {
        assert_eq!(call("join", &[json!(["a", 1]), json!(",")]), Ok(json!("a,1")));
        assert_eq!(call("concat", &[json!("a"), json!(1), json!(true)]), Ok(json!("a1true")));
        assert!(call("concat", &[json!([])]).is_err());
        assert_eq!(call("default", &[json!(null), json!("x")]), Ok(json!("x")));
        assert_eq!(call("default", &[json!(false), json!("x")]), Ok(json!(false)));
        assert_eq!(call("contains", &[json!(["a"]), json!("a")]), Ok(json!(true)));
        assert_eq!(call("contains", &[json!({"a": 1}), json!("b")]), Ok(json!(false)));
        assert_eq!(call("starts-with", &[json!("abc"), json!("ab")]), Ok(json!(true)));
        assert_eq!(call("size", &[json!({"a": 1})]), Ok(json!(1)));
        assert_eq!(call("dict", &[json!("a"), json!(1)]), Ok(json!({"a": 1})));
        assert_eq!(call("merge", &[json!({"a": 1, "b": 1}), json!({"b": 2})]), Ok(json!({"a": 1, "b": 2})));
        assert!(call("merge", &[json!({}), json!("a")]).is_err());
        assert!(call("dict", &[json!("a")]).is_err());
        assert_eq!(call("list", &[json!("a"), json!(1)]), Ok(json!(["a", 1])));
        assert_eq!(call("add", &[json!(1), json!(-2)]), Ok(json!(-1)));
        assert!(call("add", &[json!(i64::MAX), json!(1)]).is_err());
    }

    #[test]
    fn networks_versions_and_quantities() {
        assert_eq!(call("cidr-host", &[json!("100.64.0.0/13"), json!(10)]), Ok(json!("100.64.0.10")));
        assert_eq!(call("cidr-host", &[json!("fd00:10::/108"), json!(1)]), Ok(json!("fd00:10::1")));
        assert!(call("cidr-host", &[json!("10.0.0.0/30"), json!(4)]).is_err());
        assert_eq!(call("version-at-least", &[json!("1.34.0"), json!("1.34")]), Ok(json!(true)));
        assert_eq!(call("version-at-least", &[json!("1.9.9"), json!("1.34")]), Ok(json!(false)));
        assert_eq!(call("quantity-max", &[json!("200M"), json!("1Gi")]), Ok(json!("1Gi")));
        assert_eq!(call("quantity-max", &[json!("1500m"), json!(1)]), Ok(json!("1500m")));
        assert!(call("quantity-max", &[json!("1Qi"), json!("1")]).is_err());
        for (reference, repository, tag) in [
            ("r.example.org:5000/a/b:v1", "r.example.org:5000/a/b", "v1"),
            ("a/b@sha256:00", "a/b@sha256", "00"),
            ("a:v1@sha256:00", "a:v1@sha256", "00"),
            ("r.example.org:5000/a", "r.example.org:5000/a", ""),
        ] {
            assert_eq!(call("repository-of", &[json!(reference)]), Ok(json!(repository)));
            assert_eq!(call("tag-of", &[json!(reference)]), Ok(json!(tag)));
        }
    }

    #[test]
    fn values_as_data() {
        assert_eq!(json(&json!("a\nb: \u{feff}")), "\"a\\nb: \\ufeff\"");
        assert_eq!(yaml(&json!({}), 4), ("{}".into(), false));
        let (block, own_line) = yaml(&json!({"a": {"b": [1]}}), 2);
        assert!(own_line && block.starts_with("  a:\n    b:"), "{block}");
    }

    #[test]
    fn symbols_are_recognised() {
        let made = symbol("fact", &[&json!("infrastructure.nodes")]);
        assert_eq!(made, json!("<fact infrastructure.nodes>"));
        assert!(has_symbol(&json!({"a": ["x-<fact infrastructure.nodes>"]})));
        assert!(!has_symbol(&json!("a < b > c")));
    }
}
