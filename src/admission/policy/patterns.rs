//! Regular expressions of policies: the same few for every object, so they are compiled once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use kube_cel::cel::extractors::This;
use kube_cel::cel::{ExecutionError, FunctionContext};
use regex::{Regex, RegexBuilder};

/// So many are kept; a policy that makes its patterns from what it looks at could make any number.
const KEPT: usize = 256;
/// What a compiled pattern may take, in bytes.
const SIZE: usize = 1 << 20;

/// What patterns became, or why they are none.
type Patterns = HashMap<Arc<String>, Result<Regex, String>>;

static PATTERNS: LazyLock<RwLock<Patterns>> = LazyLock::new(RwLock::default);

/// CEL's `matches`: whether a pattern (RE2) is found in a text.
pub(super) fn matches(
    ftx: &FunctionContext<'_, '_>,
    This(text): This<Arc<String>>,
    pattern: Arc<String>,
) -> Result<bool, ExecutionError> {
    let known = PATTERNS.read().unwrap_or_else(PoisonError::into_inner).get(&pattern).cloned();
    let compiled = known.unwrap_or_else(|| {
        let compiled = compile(&pattern);
        let mut patterns = PATTERNS.write().unwrap_or_else(PoisonError::into_inner);
        if patterns.len() >= KEPT {
            patterns.clear();
        }
        patterns.insert(pattern, compiled.clone());
        compiled
    });
    compiled.map(|regex| regex.is_match(&text)).map_err(|why| ftx.error(why))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(SIZE).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("the pattern `{}` is too large", shortened(pattern)),
        error => format!("'{}' not a valid regex:\n{error}", shortened(pattern)),
    })
}

fn shortened(pattern: &str) -> String {
    pattern.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn a_pattern_that_explodes_is_refused() {
        assert!(compile("^[a-z]{1,63}$").is_ok());
        assert_eq!(
            compile("(((a{100}){100}){100})").map(|_| ()),
            Err("the pattern `(((a{100}){100}){100})` is too large".into())
        );
    }
}
