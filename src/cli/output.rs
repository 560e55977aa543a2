//! `-o`: the formats of results, shared by all commands; each command names those that it knows.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use super::Context;
use crate::document;
use crate::print::json;

macro_rules! formats {
    ($($name:ident $word:literal)+) => {
        /// A format of results.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Format { $($name),+ }

        impl Format {
            const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

formats! {
    Text "text"
    Table "table"
    Wide "wide"
    Json "json"
    Jsonl "jsonl"
    Yaml "yaml"
    Name "name"
    Sarif "sarif"
    Junit "junit"
    Github "github"
    Codequality "codequality"
    Tap "tap"
    Checkstyle "checkstyle"
    Dot "dot"
    Mermaid "mermaid"
    Markdown "md"
}

/// Accepts these formats and no other.
pub(super) fn formats(known: &'static [Format]) -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(known.iter().map(|f| f.word()))
        .map(|word| *Format::ALL.iter().find(|f| f.word() == word).expect("only words of formats are possible"))
}

/// Writes an answer of a command as JSON, or as YAML.
pub(super) fn answer(context: &Context, format: Format, value: &Value) {
    context.printer.result(&match format {
        Format::Yaml => document::to_yaml(value),
        _ => json::json(value),
    });
}
