//! The rules of Kubernetes for names, labels and annotation keys, with the API server's own wording, which people search for.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
    end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
    start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
    character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
    '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
    start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
    character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// A lower-case RFC 1123 label: names of namespaces, services' ports, worker pools.
pub fn dns1123_label(text: &str) -> Result<(), String> {
    within(text, 63)?;
    if is_dns_label(text) { Ok(()) } else { Err(LABEL.to_owned()) }
}

/// A lower-case RFC 1123 subdomain: names of most objects.
pub fn dns1123_subdomain(text: &str) -> Result<(), String> {
    within(text, 253)?;
    if text.split('.').all(is_dns_label) { Ok(()) } else { Err(SUBDOMAIN.to_owned()) }
}

/// An RFC 1035 label: names of services.
pub fn dns1035_label(text: &str) -> Result<(), String> {
    within(text, 63)?;
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && is_dns_label(text) { Ok(()) } else { Err(LABEL_1035.to_owned()) }
}

/// The value of a label.
pub fn label_value(text: &str) -> Result<(), String> {
    within(text, 63)?;
    if text.is_empty() || is_name_part(text) { Ok(()) } else { Err(LABEL_VALUE.to_owned()) }
}

/// A qualified name: keys of labels and annotations, finalizers, conditions.
pub fn qualified_name(text: &str) -> Result<(), String> {
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                return Err("prefix part must be non-empty".to_owned());
            }
            dns1123_subdomain(prefix).map_err(|error| format!("prefix part {error}"))?;
            name
        }
        Some(_) => {
            return Err(format!(
                "a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if name.is_empty() {
        return Err("name part must be non-empty".to_owned());
    }
    within(name, 63).map_err(|error| format!("name part {error}"))?;
    if is_name_part(name) { Ok(()) } else { Err(format!("name part {QUALIFIED}")) }
}

/// The key of a label.
pub fn label_key(text: &str) -> Result<(), String> {
    qualified_name(text)
}

/// The key of an annotation: a qualified name in any case.
pub fn annotation_key(text: &str) -> Result<(), String> {
    qualified_name(&text.to_lowercase())
}

fn within(text: &str, most: usize) -> Result<(), String> {
    if text.len() <= most { Ok(()) } else { Err(format!("must be no more than {most} characters")) }
}

fn is_dns_label(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || c == '-')
}

fn is_name_part(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
}
