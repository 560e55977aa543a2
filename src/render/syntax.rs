//! What a template reads, found in handlebars' syntax tree: facts, secrets, and the variables it takes from the context's root.
//!
//! Also refuses what would go round the structure-safe escape: triple braces, partials and decorators.

use std::collections::BTreeSet;

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

use super::engine::is_helper;
use super::load::small;
use crate::facts::{STATIC_MANIFESTS, WILDCARD_CERTIFICATE};

/// A variable of the context that the template uses outside of loops. Strict mode does not look into `{{#if …}}` and helper
/// parameters, so these are checked before rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Something that a template must not contain.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) facts: BTreeSet<String>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) roots: Vec<Root>,
    /// The roots that it uses anywhere, with those that may be missing.
    pub(crate) sees: BTreeSet<String>,
    /// Whether it looks at the context as a whole, or in ways that do not begin at a root.
    pub(crate) whole: bool,
    /// Helpers that it calls.
    pub(crate) helpers: BTreeSet<String>,
    pub(crate) problems: Vec<Problem>,
}

/// Walks a whole template.
pub(crate) fn walk(template: &Template, reads: &mut Reads) {
    Walk { reads, line: 1, column: 1, depth: 0 }.template(template);
}

struct Walk<'r> {
    reads: &'r mut Reads,
    line: u32,
    column: u32,
    /// How many `each` and `with` blocks we are in: paths there are relative to something else than the root.
    depth: usize,
}

impl Walk<'_> {
    fn template(&mut self, template: &Template) {
        for (index, element) in template.elements.iter().enumerate() {
            if let Some(at) = template.mapping.get(index) {
                (self.line, self.column) = (small(at.0), small(at.1));
            }
            self.element(element);
        }
    }

    fn element(&mut self, element: &TemplateElement) {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::Expression(helper) => self.expression(helper),
            TemplateElement::HelperBlock(helper) => self.block(helper),
            TemplateElement::HtmlExpression(_) => {
                self.problem("triple braces and `{{&` go round the escape; use `{{json …}}` or `{{yaml … indent}}`".into());
            }
            _ => self.problem("partials and decorators are not part of the template language".into()),
        }
    }

    fn expression(&mut self, helper: &HelperTemplate) {
        let bare = helper.params.is_empty() && helper.hash.is_empty();
        match (&helper.name, bare) {
            (Parameter::Subexpression(inner), _) => self.element(inner.as_element()),
            (Parameter::Literal(_), _) => {}
            (name, bare) => match name.as_name() {
                Some(name) if bare && !is_helper(name) => self.path(name, false),
                name => self.call(name.unwrap_or_default(), helper),
            },
        }
    }

    fn block(&mut self, helper: &HelperTemplate) {
        let name = helper.name.as_name().unwrap_or_default().to_owned();
        if !matches!(name.as_str(), "if" | "unless" | "each" | "with") {
            self.problem(format!("`{{{{#{name}}}}}` is not a block of the template language"));
            return;
        }
        self.call(&name, helper);
        let scoped = usize::from(name == "each" || name == "with");
        if let Some(template) = &helper.template {
            self.depth += scoped;
            self.template(template);
            self.depth -= scoped;
        }
        if let Some(inverse) = &helper.inverse {
            self.template(inverse);
        }
    }

    fn call(&mut self, name: &str, helper: &HelperTemplate) {
        if !is_helper(name) {
            self.problem(format!("`{name}` is not a helper"));
        }
        self.reads.helpers.insert(name.to_owned());
        let literal = |index: usize| match helper.params.get(index) {
            Some(Parameter::Literal(Value::String(text))) => Some(text.clone()),
            _ => None,
        };
        match name {
            "fact" | "has-fact" => match literal(0) {
                Some(fact) => {
                    self.reads.facts.insert(fact);
                }
                None => self.problem(format!("`{name}` takes the name of a fact in quotes")),
            },
            "static-manifests" => drop(self.reads.facts.insert(STATIC_MANIFESTS.to_owned())),
            "wildcard-certificate" => drop(self.reads.facts.insert(WILDCARD_CERTIFICATE.to_owned())),
            "secret" | "secret-data" | "secret-checksum" => match literal(0) {
                Some(config) => {
                    self.reads.secrets.insert(config);
                }
                None => self.problem(format!("`{name}` takes the name of a secret in quotes")),
            },
            _ => {}
        }
        for parameter in helper.params.iter().chain(helper.hash.values()) {
            match parameter {
                // `default` is how a template says that something may be missing.
                Parameter::Path(_) => self.path(parameter.as_name().unwrap_or_default(), name == "default"),
                Parameter::Subexpression(inner) => self.element(inner.as_element()),
                _ => {}
            }
        }
    }

    fn path(&mut self, raw: &str, may_be_missing: bool) {
        let (at_root, rest) = match raw.strip_prefix("@root") {
            Some(rest) => (true, rest.trim_start_matches(['.', '/'])),
            None => (self.depth == 0, raw.trim_start_matches("./")),
        };
        let first = rest.split(['.', '/', '[']).next().unwrap_or_default();
        self.reads.whole |= rest.contains("..") || (at_root && matches!(first, "" | "this"));
        if at_root && !first.is_empty() && !first.starts_with('@') && first != "this" && first != ".." {
            self.reads.sees.insert(first.to_owned());
            if !may_be_missing {
                self.reads.roots.push(Root { name: first.to_owned(), line: self.line, column: self.column });
            }
        }
    }

    fn problem(&mut self, message: String) {
        self.reads.problems.push(Problem { message, line: self.line, column: self.column });
    }
}
