//! The examples of codes: for each, a piece of a manifest that raises it and one that does not.
//!
//! They are files of the program, `examples/<CODE>.yaml`, with the keys that [`Example`] has as fields. What is a map there is
//! laid over an object of the shipped landscape `local`; what is a text is a whole file. `tests/it/examples.rs` does both, for
//! every code, so that no example says what is not so.

use include_dir::{Dir, include_dir};

static EXAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/finding/examples");

/// An example as its file says it: each field is text, without the indentation that it has there; empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Example {
    /// What the pieces belong to: a kind, a kind and a name (`Shoot lab/api`), or a path in the repository.
    pub of: String,
    /// Other objects that matter, a list of pieces with their kinds.
    pub beside: String,
    /// What was accepted before.
    pub old: String,
    /// What raises the code; `null` if the file is gone.
    pub fails: String,
    /// What was accepted before the piece that passes, where that is something else.
    pub was: String,
    /// What does not raise the code.
    pub passes: String,
    /// What the garden has, for what only shows there: a list of Secrets and ConfigMaps.
    pub garden: String,
    /// Feature gates of Gardener, `A=true,B=false`.
    pub gates: String,
}

impl Example {
    /// The example of a code; `None` if it has none.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        let file = EXAMPLES.get_file(format!("{code}.yaml"))?;
        Some(Self::read(file.contents_utf8()?))
    }

    /// The codes that have examples, in alphabetical order.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        EXAMPLES.files().filter_map(|file| file.path().file_stem()?.to_str())
    }

    /// Reads the text of an example's file. Keys that are none are left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut example = Self::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((key, rest)) = line.split_once(':').filter(|(key, _)| !key.starts_with([' ', '#', '-'])) else { continue };
            let mut block = Vec::new();
            while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with(' ')) {
                block.push(line.strip_prefix("  ").unwrap_or(line));
            }
            let rest = rest.trim();
            let value = if block.is_empty() { unquoted(rest) } else { block.join("\n").trim_end().to_owned() };
            let field = match key {
                "of" => &mut example.of,
                "beside" => &mut example.beside,
                "old" => &mut example.old,
                "fails" => &mut example.fails,
                "was" => &mut example.was,
                "passes" => &mut example.passes,
                "garden" => &mut example.garden,
                "gates" => &mut example.gates,
                _ => continue,
            };
            *field = value;
        }
        example
    }
}

/// A text without the quotes around it; escapes stay, for what they stand for should not reach a terminal.
fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.map_or_else(|| text.to_owned(), |inner| inner.replace("\\n", "\n").trim_end().to_owned())
}
