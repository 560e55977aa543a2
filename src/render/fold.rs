//! What a template computes of nothing but itself, computed once when it is compiled: calls of pure helpers whose arguments are
//! literals, and literals that are written as JSON.

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

use super::helper;

/// Folds a whole template. What fails is left to fail when it is rendered.
pub(crate) fn template(template: &mut Template) {
    template.elements.iter_mut().for_each(element);
}

fn element(element: &mut TemplateElement) {
    match element {
        TemplateElement::Expression(call) => {
            parameters(call);
            let written = match (call.name.as_name(), literals(call).as_deref()) {
                (Some("json"), Some([value])) => helper::json(value),
                _ => return,
            };
            *element = TemplateElement::RawString(written);
        }
        TemplateElement::HelperBlock(block) => {
            parameters(block);
            block.template.iter_mut().chain(&mut block.inverse).for_each(template);
        }
        _ => {}
    }
}

fn parameters(call: &mut HelperTemplate) {
    for parameter in call.params.iter_mut().chain(call.hash.values_mut()) {
        let Parameter::Subexpression(inner) = parameter else { continue };
        let TemplateElement::Expression(call) = inner.element.as_mut() else { continue };
        parameters(call);
        if let Some(value) = value(call) {
            *parameter = Parameter::Literal(value);
        }
    }
}

/// What a call gives, whoever it is rendered for.
fn value(call: &HelperTemplate) -> Option<Value> {
    let (_, function) = helper::pure(call.name.as_name()?)?;
    function(&literals(call)?).ok()
}

/// The arguments of a call, if all are literals.
fn literals(call: &HelperTemplate) -> Option<Vec<&Value>> {
    if call.hash.is_empty() { call.params.iter().map(literal).collect() } else { None }
}

fn literal(parameter: &Parameter) -> Option<&Value> {
    match parameter {
        Parameter::Literal(value) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Template {
        let mut template = Template::compile(text).expect("a template");
        super::template(&mut template);
        template
    }

    #[test]
    fn what_depends_on_nothing_is_said() {
        let said = |text: &str| match &folded(text).elements[..] {
            [TemplateElement::RawString(said)] => Some(said.clone()),
            _ => None,
        };
        assert_eq!(said(r#"{{json (list 1 (concat "a" "b") true)}}"#).as_deref(), Some(r#"[1,"ab",true]"#));
        assert_eq!(said(r#"{{json "a\"b"}}"#).is_some(), said(r#"{{json (concat "a")}}"#).is_some());
        for open in ["{{json (list 1 a)}}", "{{json (fact \"a.b\")}}", "{{json (add 1)}}", "{{json a}}", "{{json (eq 1 1)}}"] {
            assert_eq!(said(open), None, "{open}");
        }
    }

    #[test]
    fn blocks_are_folded_inside() {
        let inside = |template: &Option<Template>| template.as_ref().map(|t| t.elements.clone());
        let text = "{{#if (contains a (list 1 2))}}{{json (list 1)}}{{else}}{{json (list 2)}}{{/if}}";
        let elements = folded(text).elements;
        let [TemplateElement::HelperBlock(block)] = &elements[..] else { panic!("{elements:?}") };
        assert_eq!(inside(&block.template), Some(vec![TemplateElement::RawString("[1]".into())]));
        assert_eq!(inside(&block.inverse), Some(vec![TemplateElement::RawString("[2]".into())]));
        let [Parameter::Subexpression(call)] = &block.params[..] else { panic!("{:?}", block.params) };
        let TemplateElement::Expression(call) = call.element.as_ref() else { panic!("{call:?}") };
        assert_eq!(call.params[1], Parameter::Literal(serde_json::json!([1, 2])));
    }
}
