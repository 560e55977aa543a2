//! Authorizers of a shoot's owner, between those that every API server has.

use serde_json::{Map, Value, json};

use super::{arg, text};

/// Names that an API server's own authorizers have.
const OWN: [&str; 3] = ["node", "rbac", "node-agent-authorizer"];
/// Settings that API servers know since Kubernetes 1.34.
const CACHES: [&str; 2] = ["cacheAuthorizedRequests", "cacheUnauthorizedRequests"];

/// `authorizers CONFIGURATION KUBECONFIGS FOLDER CACHES`: the webhooks of an `AuthorizationConfiguration`, each with the file of its
/// own kubeconfig (`{authorizer, file}`) in the folder. How else it is reached is not for people to say.
pub(super) fn authorizers(arguments: &[&Value]) -> Result<Value, String> {
    let (config, kubeconfigs, folder) = (arg(arguments, 0)?, arg(arguments, 1)?, text(arguments, 2)?);
    let caches = arg(arguments, 3)?.as_bool().ok_or("argument 4 is not true or false")?;
    if config.is_null() || config.get("content").is_some() {
        // Not read yet; offline: what stands for the configuration.
        return Ok(json!([config]));
    }
    let all = config.get("authorizers").and_then(Value::as_array).filter(|all| !all.is_empty());
    let all = all.ok_or("the configuration has no authorizers")?;
    all.iter().map(|one| authorizer(one, kubeconfigs, folder, caches)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn authorizer(one: &Value, kubeconfigs: &Value, folder: &str, caches: bool) -> Result<Value, String> {
    let (kind, name) = (one.get("type").and_then(Value::as_str), one.get("name").and_then(Value::as_str).unwrap_or_default());
    if kind != Some("Webhook") {
        return Err(format!("authorizer `{name}` is not a Webhook: others are there by themselves"));
    }
    let lower = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.');
    if name.is_empty() || !lower || OWN.contains(&name) {
        return Err(format!("an authorizer cannot be called `{name}`"));
    }
    let mut files = kubeconfigs.as_array().into_iter().flatten();
    let file = files.find(|entry| entry["authorizer"] == name).and_then(|entry| entry["file"].as_str());
    let file = file.ok_or_else(|| format!("authorizer `{name}` has no kubeconfig"))?;
    let mut webhook: Map<String, Value> = one.get("webhook").and_then(Value::as_object).cloned().unwrap_or_default();
    if !caches {
        webhook.retain(|field, _| !CACHES.contains(&field.as_str()));
    }
    webhook.insert("connectionInfo".into(), json!({"type": "KubeConfigFile", "kubeConfigFile": format!("{folder}/{file}")}));
    Ok(json!({"type": "Webhook", "name": name, "webhook": webhook}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_reached_by_their_own_kubeconfigs_only() {
        let ask = |config: Value, caches: bool| {
            let kubeconfigs = json!([{"authorizer": "mine", "file": "mine-kubeconfig.yaml"}]);
            authorizers(&[&config, &kubeconfigs, &json!("/x"), &json!(caches)])
        };
        let config = |name: &str, kind: &str| {
            let webhook =
                json!({"timeout": "3s", "cacheAuthorizedRequests": true, "connectionInfo": {"type": "InClusterConfig"}});
            json!({"authorizers": [{"type": kind, "name": name, "webhook": webhook}]})
        };
        let reached = json!({"type": "KubeConfigFile", "kubeConfigFile": "/x/mine-kubeconfig.yaml"});
        let made = ask(config("mine", "Webhook"), false).expect("an authorizer");
        assert_eq!(made, json!([{"type": "Webhook", "name": "mine", "webhook": {"timeout": "3s", "connectionInfo": reached}}]));
        let made = ask(config("mine", "Webhook"), true).expect("an authorizer");
        assert_eq!(made[0]["webhook"]["cacheAuthorizedRequests"], true);
        for (name, kind, why) in [
            ("other", "Webhook", "kubeconfig"),
            ("rbac", "Webhook", "called"),
            ("Mine", "Webhook", "called"),
            ("mine", "AlwaysAllow", "Webhook"),
        ] {
            assert!(ask(config(name, kind), true).expect_err(name).contains(why), "{name}");
        }
        assert!(ask(json!({}), true).is_err());
    }
}
