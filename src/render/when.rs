//! `when`: a CEL condition over the render context, compiled once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Context, Program, Value as Cel};
use serde_json::Value;

/// A compiled condition and the variables that it reads.
pub(crate) struct When {
    program: Program,
    variables: BTreeSet<String>,
}

impl When {
    /// Compiles a condition.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let program = Program::compile(text).map_err(|errors| {
            let text = errors.to_string();
            text.lines().next().unwrap_or_default().trim().to_owned()
        })?;
        let variables = program.references().variables().into_iter().map(str::to_owned).collect();
        Ok(Self { program, variables })
    }

    /// Whether it holds. Only the variables that it reads are converted.
    pub(crate) fn holds(&self, context: &Value, converted: &mut Converted) -> Result<bool, String> {
        for name in &self.variables {
            if let Some(value) = context.get(name).filter(|_| !converted.names.contains(name)) {
                converted.scope.add_variable_from_value(name.clone(), convert(value));
                converted.names.insert(name.clone());
            }
        }
        match self.program.execute(&converted.scope) {
            Ok(Cel::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("`when` gives a {:?}, not a bool", other.type_of())),
            Err(error) => Err(format!("`when` cannot be evaluated: {error}")),
        }
    }
}

/// Variables of one context that were converted already: a context is much larger than what conditions read of it.
pub(crate) struct Converted {
    scope: Context<'static>,
    names: BTreeSet<String>,
}

impl Default for Converted {
    fn default() -> Self {
        Self { scope: Context::default().with_all(), names: BTreeSet::new() }
    }
}

/// JSON to CEL; whole numbers become `int`, so that `x > 0` compares like with like.
fn convert(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(b) => Cel::Bool(*b),
        Value::Number(n) => n.as_i64().map_or_else(|| Cel::Float(n.as_f64().unwrap_or(f64::NAN)), Cel::Int),
        Value::String(s) => Cel::String(Arc::new(s.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(convert).collect())),
        Value::Object(map) => {
            let map: HashMap<Key, Cel> = map.iter().map(|(k, v)| (Key::String(Arc::new(k.clone())), convert(v))).collect();
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_see_the_context() {
        let context = json!({"shoot": {"spec": {"provider": {"workers": [{"name": "a"}]}}}, "ha": {"enabled": false}});
        let holds = |text: &str| When::compile(text).and_then(|w| w.holds(&context, &mut Converted::default()));
        assert_eq!(holds("has(shoot.spec.provider.workers)"), Ok(true));
        assert_eq!(holds("size(shoot.spec.provider.workers) > 0 && !ha.enabled"), Ok(true));
        assert_eq!(holds("has(shoot.spec.dns)"), Ok(false));
        assert!(holds("shoot.spec.provider").is_err());
        assert!(holds("nothing.here").is_err());
        assert!(When::compile("has(").is_err());
    }
}
