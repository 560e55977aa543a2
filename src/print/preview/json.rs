//! A plan for machines.

use serde_json::{Value, json};

use super::{Change, Consequence, Fate, Item, Preview};

/// The plan as a machine reads it, without the envelope.
#[must_use]
pub fn json(preview: &Preview) -> Value {
    let items: Vec<Value> = preview.items.iter().map(item).collect();
    let (owners, objects) = preview.rendered();
    let (least, most, clusters) = preview.replaced();
    let n = |word| preview.counted(word);
    json!({
        "landscape": preview.landscape,
        "from": preview.from,
        "to": preview.to,
        "now": preview.now,
        "commits": preview.commits,
        "placements": preview.placements,
        "digest": preview.digest,
        "pins": preview.pins,
        "objects": items,
        "findings": preview.troubles,
        "guards": preview.breaches,
        "summary": {
            "create": n("create"), "update": n("update"), "delete": n("delete"), "blocked": n("blocked"), "held": n("held"),
            "unchanged": preview.unchanged, "rendered": owners, "manifests": objects,
            "worst": preview.worst(), "replaced": { "minimum": least, "maximum": most, "clusters": clusters },
        },
    })
}

fn item(item: &Item) -> Value {
    let changes: Vec<Value> = item
        .changes
        .iter()
        .map(|Change { field, place, impact, idle }| {
            json!({
                "field": field.name, "pointer": field.pointer, "before": field.before, "after": field.after, "at": place,
                "impact": impact, "idle": idle,
            })
        })
        .collect();
    let mut out = json!({
        "owner": item.owner, "action": item.fate.word(), "path": item.path, "changes": changes, "effects": item.effects,
        "worst": item.worst(), "when": "now", "revert": item.revert,
    });
    match &item.fate {
        Fate::Held(findings) => out["findings"] = json!(findings),
        Fate::Blocked(why) => out["why"] = json!(why),
        Fate::Created | Fate::Updated | Fate::Deleted | Fate::Unchanged => {}
    }
    match &item.consequence {
        Consequence::None => {}
        Consequence::Unknown(why) => out["unknown"] = json!(why),
        Consequence::Rendered(components) => {
            let list: Vec<Value> = components
                .iter()
                .map(|((name, target), objects)| {
                    let objects: Vec<Value> = objects
                        .iter()
                        .map(|(key, touch)| {
                            json!({ "action": touch.word(), "group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name })
                        })
                        .collect();
                    json!({ "component": name, "target": target.to_string(), "manifests": objects })
                })
                .collect();
            out["components"] = list.into();
        }
    }
    out
}
