//! Dashboards for Plutono: a template says what each panel asks for, this lays them out.

use serde_json::{Map, Value, json};

use super::{arg, text};

/// Columns of a dashboard's grid, and what one panel takes of it.
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

/// What the uids of a seed's dashboards begin with; all others are of shoots.
const OF_SEED: &str = "seed-";

/// `dashboard uid title panel…`: a dashboard as JSON text. A panel is a list: its title, the unit of its values, and pairs of a
/// query and the labels that tell its series apart, separated by blanks. The unit `state` draws what is up and what is down,
/// `logs` shows lines of logs; before it may stand the data source, as in `seed:short`. A boolean among the panels says whether
/// those after it are wanted.
pub(super) fn dashboard(arguments: &[&Value]) -> Result<Value, String> {
    let (uid, title) = (text(arguments, 0)?, text(arguments, 1)?);
    arg(arguments, 2)?;
    let (mut wanted, mut panels) = (true, Vec::new());
    for panel in arguments.iter().skip(2) {
        match panel {
            Value::Bool(holds) => wanted = *holds,
            panel if wanted => panels.push(laid_out(panels.len(), panel)?),
            _ => {}
        }
    }
    let dashboard = json!({
        "uid": uid,
        "title": title,
        "tags": ["gardener", if uid.starts_with(OF_SEED) { "seed" } else { "shoot" }],
        "schemaVersion": 27,
        "version": 1,
        "editable": false,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": "now-3h", "to": "now"},
        "annotations": {"list": []},
        "templating": {"list": []},
        "panels": panels,
    });
    Ok(dashboard.to_string().into())
}

fn laid_out(n: usize, panel: &Value) -> Result<Value, String> {
    let wrong = || format!("panel {} is not a list of title, unit, and pairs of query and labels", n + 1);
    let parts = panel.as_array().ok_or_else(wrong)?.iter().map(Value::as_str).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let [title, unit, queries @ ..] = parts.as_slice() else { return Err(wrong()) };
    if queries.is_empty() || !queries.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let targets: Vec<Value> = queries
        .chunks(2)
        .enumerate()
        .map(|(n, pair)| {
            let legend: Vec<String> = pair[1].split_whitespace().map(|label| format!("{{{{{label}}}}}")).collect();
            json!({"refId": format!("Q{n}"), "expr": pair[0], "legendFormat": legend.join(" ")})
        })
        .collect();
    let mut out = Map::new();
    let grid = json!({"w": WIDTH, "h": HEIGHT, "x": n % 2 * WIDTH, "y": n / 2 * HEIGHT});
    for (field, value) in [("id", json!(n + 1)), ("title", json!(title)), ("gridPos", grid), ("targets", targets.into())] {
        out.insert(field.to_owned(), value);
    }
    let (source, unit) = match unit.split_once(':') {
        Some((source, unit)) => (format!("{source}-prometheus"), unit),
        None => ("prometheus".to_owned(), *unit),
    };
    let form = match unit {
        "logs" => json!({"type": "logs", "datasource": "vali", "options": {"showTime": true, "sortOrder": "Descending"}}),
        "state" => json!({
            "type": "stat",
            "datasource": source,
            "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "area", "textMode": "value_and_name"},
            "fieldConfig": {"defaults": {
                "mappings": [{"id": 0, "type": 1, "value": "0", "text": "down"}, {"id": 1, "type": 1, "value": "1", "text": "up"}],
                "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 1}]},
            }},
        }),
        unit => json!({
            "type": "graph",
            "datasource": source,
            "lines": true,
            "linewidth": 1,
            "fill": 1,
            "nullPointMode": "null",
            "legend": {"show": true},
            "tooltip": {"shared": true, "sort": 2, "value_type": "individual"},
            "xaxis": {"mode": "time", "show": true},
            "yaxes": [{"format": unit, "min": "0", "show": true}, {"format": "short", "show": false}],
        }),
    };
    out.extend(form.as_object().cloned().unwrap_or_default());
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_laid_out_two_abreast() {
        let panel = |title: &str, unit: &str| json!([title, unit, "up", "job pod", "down", ""]);
        let made = dashboard(&[&json!("a"), &json!("A"), &panel("1", "short"), &panel("2", "state"), &panel("3", "logs")])
            .expect("fine");
        let made: Value = serde_json::from_str(made.as_str().expect("text")).expect("JSON");
        let at = |pointer: &str| made.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!((at("/panels/1/gridPos/x"), at("/panels/2/gridPos/y")), (json!(12), json!(8)));
        assert_eq!(
            (at("/panels/0/targets/0/legendFormat"), at("/panels/0/targets/1/refId")),
            (json!("{{job}} {{pod}}"), json!("Q1"))
        );
        assert_eq!((at("/panels/1/type"), at("/panels/2/datasource")), (json!("stat"), json!("vali")));
        assert_eq!((at("/tags/1"), at("/panels/0/datasource")), (json!("shoot"), json!("prometheus")));
        let seeds = dashboard(&[&json!("seed-a"), &json!("A"), &panel("1", "seed:bytes")]).expect("fine");
        let seeds: Value = serde_json::from_str(seeds.as_str().expect("text")).expect("JSON");
        assert_eq!((&seeds["tags"][1], &seeds["panels"][0]["datasource"]), (&json!("seed"), &json!("seed-prometheus")));
        assert_eq!(seeds["panels"][0]["yaxes"][0]["format"], "bytes");
        let some =
            dashboard(&[&json!("a"), &json!("A"), &json!(false), &panel("1", "short"), &json!(true), &panel("2", "short")])
                .expect("fine");
        assert!(some.as_str().is_some_and(|text| text.contains("\"title\":\"2\"") && !text.contains("\"title\":\"1\"")));
        for wrong in [json!("up"), json!(["title", "unit"]), json!(["title", "unit", "query"])] {
            assert!(dashboard(&[&json!("a"), &json!("A"), &wrong]).is_err(), "{wrong}");
        }
    }
}
