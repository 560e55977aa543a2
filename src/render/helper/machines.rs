//! What a Worker says about its machine deployments, as the cluster autoscaler wants to hear it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{arg, is_symbol, symbol, text};

/// The machine deployments of a Worker's status, or the symbol that stands for them.
fn deployments<'v>(arguments: &[&'v Value]) -> Result<Result<&'v [Value], Value>, String> {
    match arg(arguments, 0)? {
        Value::Array(deployments) => Ok(Ok(deployments)),
        Value::String(text) if is_symbol(text) => Ok(Err(symbol("each", arguments.get(..1).unwrap_or_default()))),
        Value::Null => Ok(Ok(&[])),
        _ => Err("argument 1 is not a list of machine deployments".into()),
    }
}

/// `--nodes` for every deployment: at least, at most, and which.
pub(super) fn node_groups(arguments: &[&Value]) -> Result<Value, String> {
    let namespace = text(arguments, 1)?;
    Ok(match deployments(arguments)? {
        Err(symbol) => json!([symbol]),
        Ok(deployments) => deployments
            .iter()
            .map(|deployment| {
                let number = |field: &str| deployment.get(field).and_then(Value::as_i64).unwrap_or(0);
                let name = deployment.get("name").and_then(Value::as_str).unwrap_or_default();
                format!("--nodes={}:{}:{namespace}.{name}", number("minimum"), number("maximum"))
            })
            .collect(),
    })
}

/// The priority expander's configuration: deployments by priority, where a deployment without one has that of its pool.
pub(super) fn priority_expander(arguments: &[&Value]) -> Result<Value, String> {
    let namespace = text(arguments, 1)?;
    let pools = arg(arguments, 2)?.as_array().ok_or("argument 3 is not a list of pools")?;
    let deployments = match deployments(arguments)? {
        Err(symbol) => return Ok(symbol),
        Ok(deployments) => deployments,
    };
    let mut by_priority: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for deployment in deployments {
        let name = deployment.get("name").and_then(Value::as_str).unwrap_or_default();
        // A deployment is named by namespace, pool and zone: its pool is the one with the longest fitting name.
        let of_pool = || {
            let rest = name.strip_prefix(namespace)?.strip_prefix('-')?;
            let pool_name = |pool: &Value| pool.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let fits =
                |pool: &&Value| rest.strip_prefix(&pool_name(pool)).is_some_and(|zone| zone.is_empty() || zone.starts_with('-'));
            pools.iter().filter(fits).max_by_key(|pool| pool_name(pool).len())?.get("priority")?.as_i64()
        };
        let priority = deployment.get("priority").and_then(Value::as_i64).or_else(of_pool).unwrap_or(0);
        by_priority.entry(priority).or_default().push(name.to_owned());
    }
    let mut out = String::new();
    for (priority, names) in by_priority {
        out.push_str(&format!("{priority}:\n"));
        for name in names {
            out.push_str(&format!("- {namespace}.{name}\n"));
        }
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_take_the_priority_of_their_pool() {
        let deployments = json!([
            {"name": "shoot--a--b-work-z1", "minimum": 1, "maximum": 3},
            {"name": "shoot--a--b-work-gpu-z1", "minimum": 0, "maximum": 2, "priority": 7},
            {"name": "shoot--a--b-work-big-z1", "minimum": 0, "maximum": 2},
        ]);
        let (namespace, pools) =
            (json!("shoot--a--b"), json!([{"name": "work", "priority": 5}, {"name": "work-big", "priority": 9}]));
        let groups = node_groups(&[&deployments, &namespace]).expect("fine");
        assert_eq!(groups[0], "--nodes=1:3:shoot--a--b.shoot--a--b-work-z1");
        let text = priority_expander(&[&deployments, &namespace, &pools]).expect("fine");
        let named = |name: &str| format!("- shoot--a--b.shoot--a--b-{name}\n");
        assert_eq!(text, format!("5:\n{}7:\n{}9:\n{}", named("work-z1"), named("work-gpu-z1"), named("work-big-z1")));
    }

    #[test]
    fn what_is_not_known_offline_stays_a_symbol() {
        let (fact, namespace) = (json!("<fact worker.machineDeployments>"), json!("shoot--a--b"));
        let groups = node_groups(&[&fact, &namespace]).expect("fine");
        assert!(is_symbol(groups[0].as_str().expect("text")), "{groups}");
    }
}
