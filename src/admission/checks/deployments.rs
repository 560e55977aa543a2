//! How extensions are installed. Two versions of the kind say it in different words; what is looked at is the same.

use super::prelude::*;
use crate::finding::ErrorType;
use crate::landscape::controller_deployment::is_base64;

rules! {
    /// An extension is installed by a Helm chart or by a way of somebody else, not by both (V-313).
    "DEPLOYMENT-TYPE", "an extension is not installed in one way", ControllerDeployment, kind;
    /// A Helm chart is given itself or by its place in a registry (V-313).
    "DEPLOYMENT-HELM", "a Helm chart is not given", ControllerDeployment, helm;
    /// A place in a registry is a reference, or a repository with a tag or digest (V-313).
    "DEPLOYMENT-OCI", "the place of a chart cannot be understood", ControllerDeployment, registry;
}

/// By these annotations version `v1` carries what only `v1beta1` has fields for.
const TYPE: &str = "migration.controllerdeployment.gardener.cloud/type";
const CONFIG: &str = "migration.controllerdeployment.gardener.cloud/provider-config";

/// What a deployment says, in whichever version.
struct Said<'a> {
    /// What is said about a chart, if anything.
    helm: Option<Node<'a>>,
    chart: Node<'a>,
    repository: Node<'a>,
    /// The type of somebody else's way, and its configuration.
    custom: Node<'a>,
    config: Node<'a>,
}

fn said<'a>(cx: &Cx<'a>) -> Said<'a> {
    if cx.new.get("apiVersion").str() == "core.gardener.cloud/v1beta1" {
        let (custom, config) = (cx.new.get("type"), cx.new.get("providerConfig"));
        let helm = (custom.str() == "helm").then(|| config.clone());
        let (custom, rest) = if helm.is_some() { (Node::absent(), Node::absent()) } else { (custom, config.clone()) };
        return Said { helm, chart: config.get("chart"), repository: config.get("ociRepository"), custom, config: rest };
    }
    let (helm, annotations) = (cx.new.get("helm"), cx.new.at("metadata/annotations"));
    Said {
        chart: helm.get("rawChart"),
        repository: helm.get("ociRepository"),
        helm: Some(helm).filter(Node::is_set),
        custom: annotations.get(TYPE),
        config: annotations.get(CONFIG),
    }
}

fn kind(cx: &Cx<'_>, out: &mut Out) {
    let said = said(cx);
    if let Some(helm) = &said.helm {
        let chart = said.chart.value().is_none_or(|chart| chart.as_str().is_some_and(is_base64));
        if !chart || helm.value().is_some_and(|value| !value.is_object()) {
            out.refuse(ErrorType::ConversionError, helm, "what is said about the chart cannot be read")
                .field("")
                .help("write `chart` in base64, or `ociRepository` with where it is");
        }
        for (what, node, there) in [("type", &said.custom, !said.custom.is_empty()), ("providerConfig", &said.config, said.config.is_set())] {
            if there {
                out.forbidden(node, "an extension that is installed by a chart has no other way").field(what).help("remove it");
            }
        }
    } else if said.custom.is_empty() {
        out.forbidden(&cx.new, "it is not said how the extension is installed").field("[]").help("add `helm`");
    }
}

fn helm(cx: &Cx<'_>, out: &mut Out) {
    let said = said(cx);
    let Some(helm) = said.helm else { return };
    if said.chart.is_empty() != said.repository.is_set() {
        let what = if said.chart.is_empty() { "there is no chart" } else { "the chart is given twice" };
        out.required(&helm, what).field("helm").help("give either `rawChart` or `ociRepository`");
    }
}

fn registry(cx: &Cx<'_>, out: &mut Out) {
    const FIELD: &str = "helm.ociRepository";
    let said = said(cx);
    let oci = &said.repository;
    if said.helm.is_none() || !oci.is_set() {
        return;
    }
    let (reference, repository, tag, digest) = (oci.get("ref"), oci.get("repository"), oci.get("tag"), oci.get("digest"));
    if reference.is_empty() && repository.is_empty() {
        out.required(oci, "it is not said where the chart is").field(FIELD).help("give `ref`, or `repository` with `tag` or `digest`");
    } else if reference.is_set() {
        for node in [repository, tag, digest].iter().filter(|node| !node.is_empty()) {
            let key = node.pointer().segments().last().unwrap_or_default();
            out.forbidden(node, format!("`ref` is a whole reference, so `{key}` says it again"))
                .field(format!("{FIELD}.{key}"))
                .help("remove one of the two");
        }
    } else {
        if tag.is_empty() && digest.is_empty() {
            out.required(oci, "neither tag nor digest of the chart is given").field(FIELD).help("add `tag` or `digest`");
        }
        if digest.is_set() && !digest.str().starts_with("sha256:") {
            out.invalid(&digest, format!("{} is no digest", digest.shown())).field(format!("{FIELD}.digest")).help("it begins with `sha256:`");
        }
    }
}
