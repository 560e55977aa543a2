//! What belongs to a landscape and is never promoted: paths by glob, fields by pattern.

use serde_json::Value;

use crate::landscape::Kind;
use crate::landscape::config::Promotion;

/// Paths that are a landscape's own, whatever it says: who it is, where it runs, what was asked of it once.
pub const PATHS: &[&str] = &["landscape.yaml", "seeds/**", "operations/**", "acknowledgements/**"];

/// Fields that are a landscape's own, whatever it says. A new object comes without them.
pub const FIELDS: &[&str] = &["shoot.spec.seedName", "shoot.spec.dns.domain"];

/// One step on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A key of a map.
    Field(String),
    /// An item of a list, by its name.
    Item(String),
}

/// What belongs to a landscape.
#[derive(Debug, Clone)]
pub struct Rules {
    paths: Vec<String>,
    fields: Vec<Pattern>,
}

/// A pattern of fields: `shoot.spec.provider.workers[*].maximum`, and all below.
#[derive(Debug, Clone)]
struct Pattern {
    /// `None` for every kind.
    kind: Option<Kind>,
    words: Vec<Word>,
    /// Whether a new object brings the value along, as a first one.
    initial: bool,
}

#[derive(Debug, Clone)]
enum Word {
    /// `*`, `[*]`: any key or item.
    Any,
    /// `maximum`: a key.
    Key(String),
    /// `[cpu]`: an item of that name, or a key with dots in it.
    Named(String),
}

impl Rules {
    /// The rules of a landscape: those that always hold, and what it declares. A pattern that cannot be read is an error.
    pub fn of(promotion: Option<&Promotion>) -> Result<Self, String> {
        let declared = |list: fn(&Promotion) -> &Vec<String>| promotion.map(list).into_iter().flatten();
        let paths = PATHS.iter().map(|path| (*path).to_owned()).chain(declared(|p| &p.exclude).cloned()).collect();
        let mut fields = Vec::new();
        for text in FIELDS {
            fields.push(Pattern::parse(text, false)?);
        }
        for text in declared(|p| &p.owned) {
            fields.push(Pattern::parse(text, true)?);
        }
        Ok(Self { paths, fields })
    }

    /// The pattern by which a path is a landscape's own.
    #[must_use]
    pub fn owning_path(&self, path: &str) -> Option<&str> {
        self.paths.iter().map(String::as_str).find(|pattern| glob(pattern, path))
    }

    /// Whether a field is a landscape's own.
    #[must_use]
    pub fn owns(&self, kind: Kind, keys: &[Key]) -> bool {
        self.fields.iter().any(|pattern| pattern.covers(kind, keys))
    }

    /// Whether something below a field is a landscape's own, looking through maps only.
    pub(super) fn owns_below(&self, kind: Kind, keys: &[Key], value: &Value) -> bool {
        let Value::Object(map) = value else { return false };
        map.iter().any(|(key, inner)| {
            let keys = [keys, &[Key::Field(key.clone())]].concat();
            self.owns(kind, &keys) || self.owns_below(kind, &keys, inner)
        })
    }

    /// The fields below that a new object comes without.
    pub(super) fn not_initial(&self, kind: Kind, value: &Value) -> Vec<Vec<Key>> {
        let mut found = Vec::new();
        self.collect(kind, &mut Vec::new(), value, &mut found);
        found
    }

    /// Says whether nothing else is there, so that the whole of it goes.
    fn collect(&self, kind: Kind, keys: &mut Vec<Key>, value: &Value, found: &mut Vec<Vec<Key>>) -> bool {
        if self.fields.iter().any(|pattern| !pattern.initial && pattern.covers(kind, keys)) {
            return true;
        }
        let Value::Object(map) = value else { return false };
        let mut going = Vec::new();
        let mut below = Vec::new();
        for (key, inner) in map {
            keys.push(Key::Field(key.clone()));
            if self.collect(kind, keys, inner, &mut below) {
                going.push(keys.clone());
            }
            keys.pop();
        }
        // An object stays an object.
        let all = !keys.is_empty() && !map.is_empty() && going.len() == map.len();
        if !all {
            found.extend(below);
            found.extend(going);
        }
        all
    }
}

impl Pattern {
    fn parse(text: &str, initial: bool) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` names no field: {why}"));
        let Some((kind, rest)) = text.split_once('.') else {
            return wrong("write KIND.FIELD, such as shoot.spec.provider.workers[*].maximum");
        };
        let known = Kind::ALL.iter().copied().find(|k| k.name().eq_ignore_ascii_case(kind));
        if known.is_none() && kind != "*" {
            return wrong(&format!("`{kind}` is not a kind of object in a landscape"));
        }
        let mut words = Vec::new();
        for part in rest.split(']') {
            let (keys, named) = part.split_once('[').map_or((part, None), |(keys, named)| (keys, Some(named)));
            for key in keys.split('.').filter(|key| !key.is_empty()) {
                words.push(if key == "*" { Word::Any } else { Word::Key(key.to_owned()) });
            }
            words.extend(named.map(|name| match name {
                "" | "*" => Word::Any,
                name => Word::Named(name.trim_matches(['"', '\'']).to_owned()),
            }));
        }
        if words.is_empty() || rest.matches('[').count() != rest.matches(']').count() {
            return wrong("its brackets are not closed, or it is empty");
        }
        Ok(Self { kind: known, words, initial })
    }

    fn covers(&self, kind: Kind, keys: &[Key]) -> bool {
        self.kind.is_none_or(|own| own == kind)
            && self.words.len() <= keys.len()
            && self.words.iter().zip(keys).all(|(word, key)| match (word, key) {
                (Word::Any, _) => true,
                (Word::Key(word) | Word::Named(word), Key::Field(key)) | (Word::Named(word), Key::Item(key)) => word == key,
                (Word::Key(_), Key::Item(_)) => false,
            })
    }
}

/// A part of a glob.
enum Token {
    One(char),
    Any,
    Star,
    Deep,
    /// `**/`: nothing, or folders.
    Folders,
}

/// Whether a path fits a glob: `*` and `?` stay within a folder, `**` does not.
#[must_use]
pub fn glob(pattern: &str, path: &str) -> bool {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let (token, taken) = if rest.starts_with("**/") {
            (Token::Folders, 3)
        } else if rest.starts_with("**") {
            (Token::Deep, 2)
        } else {
            let token = match c {
                '*' => Token::Star,
                '?' => Token::Any,
                c => Token::One(c),
            };
            (token, c.len_utf8())
        };
        tokens.push(token);
        rest = &rest[taken..];
    }
    // All positions in the pattern that the path so far may have led to: linear in both, whatever the pattern.
    let enter = |at: &mut Vec<bool>, mut i: usize| {
        at[i] = true;
        while matches!(tokens.get(i), Some(Token::Star | Token::Deep | Token::Folders)) {
            i += 1;
            at[i] = true;
        }
    };
    let mut at = vec![false; tokens.len() + 1];
    enter(&mut at, 0);
    for c in path.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (i, token) in tokens.iter().enumerate().filter(|(i, _)| at[*i]) {
            match token {
                Token::One(one) if *one == c => enter(&mut next, i + 1),
                Token::Any if c != '/' => enter(&mut next, i + 1),
                Token::Star if c != '/' => enter(&mut next, i),
                Token::Deep => enter(&mut next, i),
                Token::Folders => {
                    next[i] = true;
                    if c == '/' {
                        enter(&mut next, i + 1);
                    }
                }
                Token::One(_) | Token::Any | Token::Star => {}
            }
        }
        at = next;
    }
    at[tokens.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_mean_what_they_say() {
        let yes = [
            ("seeds/**", "seeds/a/b.yaml"),
            ("**/x.yaml", "x.yaml"),
            ("**/x.yaml", "a/b/x.yaml"),
            ("a/*/c?.yaml", "a/b/cd.yaml"),
        ];
        let no = [("seeds/**", "seeds"), ("**/x.yaml", "a/bx.yaml"), ("a/*.yaml", "a/b/c.yaml"), ("a", "ab"), ("a?", "a/")];
        for (pattern, path) in yes {
            assert!(glob(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in no {
            assert!(!glob(pattern, path), "{pattern} {path}");
        }
        assert!(!glob(&"**/*a".repeat(40), &"a/".repeat(200)), "and end in time");
    }

    #[test]
    fn fields_are_owned_with_all_below() {
        let promotion = Promotion {
            owned: vec!["shoot.spec.provider.workers[*].maximum".into(), "*.metadata.annotations[example.org/a]".into()],
            ..Promotion::default()
        };
        let rules = Rules::of(Some(&promotion)).expect("they can be read");
        let field = |text: &str| Key::Field(text.into());
        let workers = [field("spec"), field("provider"), field("workers")];
        let owns = |kind, more: &[Key]| rules.owns(kind, &[&workers[..], more].concat());
        assert!(owns(Kind::Shoot, &[Key::Item("cpu".into()), field("maximum")]));
        assert!(!owns(Kind::Shoot, &[Key::Item("cpu".into()), field("minimum")]));
        assert!(!owns(Kind::Seed, &[Key::Item("cpu".into()), field("maximum")]));
        assert!(rules.owns(Kind::Seed, &[field("metadata"), field("annotations"), field("example.org/a")]));
        assert!(rules.owns(Kind::Shoot, &[field("spec"), field("seedName")]));
        for wrong in ["spec", "thing.spec", "shoot.", "shoot.a[b"] {
            let promotion = Promotion { owned: vec![wrong.into()], ..Promotion::default() };
            assert!(Rules::of(Some(&promotion)).is_err(), "{wrong}");
        }
    }
}
