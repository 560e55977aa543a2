//! Prepares expressions for the interpreter: what they may name is checked, fields are looked up in the manifest itself, and
//! everything that takes time is counted.
//!
//! The interpreter would copy a whole manifest to read one field of it. So `object.spec.purpose` becomes one identifier that is
//! resolved when it is needed, and so do `has(object.spec.purpose)` and `oldObject == null`. Costs are Kubernetes' in kind: one
//! unit for a node of the expression, for ten bytes of a text that is gone through, and all of it again for each turn of a loop.

use std::collections::BTreeSet;

use kube_cel::cel::common::ast::operators as op;
use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr};

/// Separates the segments of a way in an identifier; no key contains it.
pub(super) const STEP: char = '\u{1}';
/// Before a way: whether its last field is there.
pub(super) const HAS: char = '?';
/// Before a way: whether nothing is there.
pub(super) const NULL: char = '0';
/// Before a number: so much is spent.
pub(super) const SPEND: char = '$';
/// The function that spends in proportion to a value, and gives it back.
pub(super) const WEIGH: &str = "@weigh";
/// The same for what is searched by a pattern.
pub(super) const SEARCH: &str = "@search";
/// The function that spends in proportion to the list of a variable.
pub(super) const GROWN: &str = "@grown";

/// Names whose fields are looked up in JSON; `variables` is one of them.
pub(super) const ROOTS: [&str; 6] = ["object", "oldObject", "request", "namespaceObject", "params", "variables"];
/// Names of types.
const TYPES: [&str; 13] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "dyn", "timestamp", "duration"];

/// Before the dot of functions: `math.least`.
const LIBRARIES: [&str; 8] = ["base64", "format", "ip", "jsonpatch", "math", "optional", "sets", "strings"];

/// What an expression may name besides the request.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// Whether there are parameters.
    pub params: bool,
    /// The variables defined before it.
    pub variables: &'a [String],
}

/// An expression that was prepared.
pub(super) struct Prepared {
    pub tree: IdedExpr,
    /// What one evaluation costs, short of loops and long values.
    pub cost: u64,
    /// The variables that it uses.
    pub variables: BTreeSet<String>,
}

struct Work<'a> {
    known: Known<'a>,
    bound: Vec<String>,
    cost: u64,
    variables: BTreeSet<String>,
    problem: Option<String>,
}

/// Prepares an expression, or says what it may not name.
pub(super) fn prepare(tree: IdedExpr, known: Known<'_>) -> Result<Prepared, String> {
    let mut work = Work { known, bound: Vec::new(), cost: 0, variables: BTreeSet::new(), problem: None };
    let tree = work.expression(tree);
    match work.problem {
        Some(problem) => Err(problem),
        None => Ok(Prepared { tree, cost: work.cost, variables: work.variables }),
    }
}

/// A way as people write it: `object.spec.purpose`.
pub(super) fn shown(way: &str) -> String {
    way.trim_start_matches([HAS, NULL]).replace(STEP, ".")
}

impl Work<'_> {
    fn refuse(&mut self, why: impl Into<String>) {
        self.problem.get_or_insert_with(|| why.into());
    }

    /// The way that an expression is, if it is nothing but one: a root and fields with fixed names.
    fn way(&self, expression: &IdedExpr) -> Option<String> {
        match &expression.expr {
            Expr::Ident(name) => (ROOTS.contains(&name.as_str()) && !self.bound.contains(name)).then(|| name.clone()),
            Expr::Select(select) if !select.test => Some(format!("{}{STEP}{}", self.way(&select.operand)?, select.field)),
            Expr::Call(call) if call.func_name == op::INDEX && call.args.len() == 2 => match &call.args[1].expr {
                Expr::Literal(LiteralValue::String(key)) => Some(format!("{}{STEP}{}", self.way(&call.args[0])?, key.inner())),
                _ => None,
            },
            _ => None,
        }
    }

    /// A way with its first segments looked at: whether they may be named at all.
    fn named(&mut self, way: &str) {
        self.cost += u64::try_from(way.matches(STEP).count()).unwrap_or(u64::MAX).saturating_add(1);
        let mut segments = way.split(STEP);
        match (segments.next(), segments.next()) {
            (Some("params"), _) if !self.known.params => self.refuse("there are no `params` without `paramKind`"),
            (Some("variables"), None) => self.refuse("`variables` are used by their names, as in `variables.budget`"),
            (Some("variables"), Some(name)) => {
                if !self.known.variables.iter().any(|known| known == name) {
                    self.refuse(format!("there is no variable `{name}` before this"));
                }
                self.variables.insert(name.to_owned());
            }
            _ => {}
        }
    }

    fn ident(&mut self, name: &str) {
        if name == "authorizer" {
            self.refuse("`authorizer` asks a running API server, which is not possible here");
        } else if !self.bound.iter().any(|bound| bound == name) && !TYPES.contains(&name) {
            self.refuse(format!(
                "`{name}` is not known; there are object, oldObject, request, namespaceObject, params and variables"
            ));
        }
    }

    fn expression(&mut self, expression: IdedExpr) -> IdedExpr {
        let IdedExpr { id, .. } = expression;
        if let Some(way) = self.way(&expression) {
            self.named(&way);
            return IdedExpr { id, expr: Expr::Ident(way) };
        }
        self.cost += 1;
        let expr = match expression.expr {
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(id, call),
            Expr::Comprehension(comprehension) => Expr::Comprehension(Box::new(self.comprehension(id, *comprehension))),
            Expr::List(mut list) => {
                list.elements = list.elements.into_iter().map(|element| self.expression(element)).collect();
                Expr::List(list)
            }
            Expr::Map(mut map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        entry.key = self.expression(std::mem::take(&mut entry.key));
                        entry.value = self.expression(std::mem::take(&mut entry.value));
                    }
                }
                Expr::Map(map)
            }
            Expr::Struct(of) => {
                self.refuse(format!("`{}` is no type whose values can be written", of.type_name));
                Expr::Literal(LiteralValue::Null)
            }
            Expr::Unspecified => {
                self.refuse("a part of the expression is missing");
                Expr::Literal(LiteralValue::Null)
            }
            Expr::Ident(name) => {
                self.ident(&name);
                Expr::Ident(name)
            }
            literal @ Expr::Literal(_) => literal,
        };
        IdedExpr { id, expr }
    }

    fn select(&mut self, mut select: SelectExpr) -> Expr {
        if select.test
            && let Some(way) = self.way(&select.operand)
        {
            self.named(&format!("{way}{STEP}{}", select.field));
            return Expr::Ident(format!("{HAS}{way}{STEP}{}", select.field));
        }
        select.operand = Box::new(self.expression(*select.operand));
        Expr::Select(select)
    }

    fn call(&mut self, id: u64, mut call: CallExpr) -> Expr {
        if let Some(way) = self.compared_to_nothing(&call) {
            self.named(&way);
            let is_null = IdedExpr { id, expr: Expr::Ident(format!("{NULL}{way}")) };
            if call.func_name == op::EQUALS {
                return is_null.expr;
            }
            return Expr::Call(CallExpr { func_name: op::LOGICAL_NOT.to_owned(), target: None, args: vec![is_null] });
        }
        let operator = call.func_name.contains(['_', '@']) && call.target.is_none();
        let pattern = matches!(call.func_name.as_str(), "matches" | "find" | "findAll");
        // What another function goes through is weighed first.
        let weigh = |value: IdedExpr| charged(value, if pattern { SEARCH } else { WEIGH });
        call.target = call.target.map(|target| {
            let library =
                matches!(&target.expr, Expr::Ident(name) if !self.bound.contains(name) && LIBRARIES.contains(&name.as_str()));
            Box::new(if library { *target } else { weigh(self.expression(*target)) })
        });
        let method = call.target.is_some();
        call.args = call.args.into_iter().map(|argument| self.expression(argument)).collect();
        if !operator && (!method || pattern) {
            call.args = call.args.into_iter().map(weigh).collect();
        }
        // And so is what grows.
        let accumulates = matches!(call.args.first(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name.starts_with('@'));
        let grows =
            (call.func_name == op::ADD && !accumulates) || matches!(call.func_name.as_str(), "replace" | "join" | "format");
        let of = IdedExpr { id, expr: Expr::Call(call) };
        if grows { charged(of, WEIGH).expr } else { of.expr }
    }

    /// The way that is compared to `null`.
    fn compared_to_nothing(&self, call: &CallExpr) -> Option<String> {
        let [a, b] = call.args.as_slice() else { return None };
        if call.func_name != op::EQUALS && call.func_name != op::NOT_EQUALS {
            return None;
        }
        let null = |e: &IdedExpr| matches!(e.expr, Expr::Literal(LiteralValue::Null));
        if null(b) {
            self.way(a)
        } else if null(a) {
            self.way(b)
        } else {
            None
        }
    }

    fn comprehension(&mut self, id: u64, mut of: ComprehensionExpr) -> ComprehensionExpr {
        of.iter_range = self.expression(of.iter_range);
        let lists = matches!(of.accu_init.expr, Expr::List(_));
        of.accu_init = self.expression(of.accu_init);
        let depth = self.bound.len();
        self.bound.push(of.accu_var.clone());
        self.bound.push(of.iter_var.clone());
        self.bound.extend(of.iter_var2.clone());
        let outside = std::mem::take(&mut self.cost);
        let condition = self.expression(of.loop_cond);
        of.loop_step = self.expression(of.loop_step);
        let turn = std::mem::replace(&mut self.cost, outside).saturating_add(1);
        let spend = IdedExpr { id, expr: Expr::Ident(format!("{SPEND}{turn}")) };
        of.loop_cond = both(id, spend, condition);
        if lists {
            let accumulated = IdedExpr { id, expr: Expr::Ident(of.accu_var.clone()) };
            of.loop_cond = both(id, charged(accumulated, GROWN), of.loop_cond);
        }
        of.result = self.expression(of.result);
        self.bound.truncate(depth);
        of
    }
}

fn charged(value: IdedExpr, by: &str) -> IdedExpr {
    let id = value.id;
    IdedExpr { id, expr: Expr::Call(CallExpr { func_name: by.to_owned(), target: None, args: vec![value] }) }
}

fn both(id: u64, first: IdedExpr, then: IdedExpr) -> IdedExpr {
    IdedExpr { id, expr: Expr::Call(CallExpr { func_name: op::LOGICAL_AND.to_owned(), target: None, args: vec![first, then] }) }
}
