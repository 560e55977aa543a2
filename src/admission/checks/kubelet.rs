//! The kubelet, of the cluster and of pools that have their own.

use super::prelude::*;
use crate::admission::measure::{amount, is_negative, percent, seconds};
use crate::admission::versions::since;

rules! {
    /// Numbers, durations and amounts of the kubelet are in their ranges (V-162 … V-164, V-166 … V-168, V-170 … V-172).
    "SHOOT-KUBELET", "a setting of the kubelet is out of range", Shoot, ranges;
    /// Eviction begins at an amount such as `200Mi` or at a percentage from `0%` to `100%` (V-165).
    "SHOOT-KUBELET-EVICTION", "a threshold of eviction cannot be read", Shoot, eviction;
    /// Settings of the kubelet go together: thresholds of garbage collection, swap, parallel pulls (V-169, V-173, V-174).
    "SHOOT-KUBELET-CONFLICT", "settings of the kubelet contradict each other", Shoot, conflicts;
    /// How the kubelet checks that a pod may use an image that is already there (V-175, V-176).
    "SHOOT-KUBELET-IMAGE-ACCESS", "the check of access to images is not possible", Shoot, image_access;
}

/// A kubelet's settings, where they are told of, and their version of Kubernetes.
struct Kubelet<'a> {
    settings: Node<'a>,
    told: String,
    version: &'a str,
}

impl Kubelet<'_> {
    /// How Gardener spells a setting.
    fn field(&self, setting: &str) -> String {
        format!("{}.{setting}", self.told)
    }
}

/// The kubelets of a shoot: the cluster's, and one for each pool that says something of its own about Kubernetes.
fn kubelets<'a>(cx: &Cx<'a>) -> Vec<Kubelet<'a>> {
    let (all, version) = (cx.new.at("spec/kubernetes/kubelet"), cx.new.at("spec/kubernetes/version").str());
    let pools = cx.new.at("spec/provider/workers").items();
    let mut found = Vec::new();
    if !version.is_empty() && !pools.is_empty() && all.is_set() {
        found.push(Kubelet { told: all.field(), settings: all.clone(), version });
    }
    for kubernetes in pools.iter().map(|pool| pool.get("kubernetes")).filter(Node::is_set) {
        let own = kubernetes.get("kubelet");
        let settings = if own.is_set() { own.clone() } else { all.clone() };
        let version = kubernetes.get("version").text().unwrap_or(version);
        found.push(Kubelet { told: own.field(), settings, version });
    }
    found
}

/// Whole numbers, their spelling, and from where to where they go.
const WHOLE: [(&str, &str, i64, i64); 9] = [
    ("maxPods", "maxPods", 0, i64::MAX),
    ("podPidsLimit", "podPIDsLimit", 100, i64::MAX),
    ("imageGCHighThresholdPercent", "imageGCHighThresholdPercent", 0, 100),
    ("imageGCLowThresholdPercent", "imageGCLowThresholdPercent", 0, 100),
    ("containerLogMaxFiles", "containerLogMaxFiles", 2, i64::MAX),
    ("maxParallelImagePulls", "maxParallelImagePulls", 1, i64::MAX),
    ("registryPullQPS", "registryPullQPS", 0, i64::MAX),
    ("registryBurst", "registryBurst", 0, i64::MAX),
    ("evictionMaxPodGracePeriod", "evictionMaxPodGracePeriod", 0, i64::MAX),
];
/// Signals of eviction and their spelling. Gardener never looks at the fifth, `nodeFSInodesFree`.
const SIGNALS: [(&str, &str); 4] = [
    ("memoryAvailable", "memoryAvailable"),
    ("imageFSAvailable", "imagefsAvailable"),
    ("imageFSInodesFree", "imagefsInodesFree"),
    ("nodeFSAvailable", "nodefsAvailable"),
];

fn ranges(cx: &Cx<'_>, out: &mut Out) {
    for kubelet in kubelets(cx) {
        for (what, spelled, low, high) in WHOLE {
            let node = kubelet.settings.get(what);
            if node.int().is_some_and(|n| n < low || n > high) {
                let most = if high == i64::MAX { String::new() } else { format!(" and at most {high}") };
                out.invalid(&node, format!("{} is out of range for `{what}`", node.shown()))
                    .field(kubelet.field(spelled))
                    .help(format!("at least {low}{most}"));
            }
        }
        durations(&kubelet, out);
        amounts(&kubelet, out);
        let policy = kubelet.settings.get("cpuManagerPolicy");
        if policy.is_set() && !matches!(policy.str(), "none" | "static") {
            out.not_supported(&policy, format!("{} is no CPU manager policy", policy.shown()))
                .field(kubelet.field("cpuManagerPolicy"))
                .help("use `none` or `static`");
        }
    }
}

fn durations(kubelet: &Kubelet<'_>, out: &mut Out) {
    let grace = kubelet.settings.get("evictionSoftGracePeriod");
    let graces = SIGNALS.map(|(what, spelled)| (grace.get(what), format!("evictionSoftGracePeriod.{spelled}"), 0.0));
    let pressure = "evictionPressureTransitionPeriod";
    let own = [(kubelet.settings.get(pressure), pressure.to_owned(), 0.0)];
    // Ages are looked at in whole seconds.
    let ages = ["imageMinimumGCAge", "imageMaximumGCAge"].map(|what| (kubelet.settings.get(what), what.to_owned(), -1.0 + f64::EPSILON));
    for (node, spelled, least) in graces.into_iter().chain(own).chain(ages) {
        if seconds(&node).is_some_and(|s| s < least) {
            out.invalid(&node, format!("{} is negative", node.shown())).field(kubelet.field(&spelled));
        }
    }
    let idle = kubelet.settings.get("streamingConnectionIdleTimeout");
    if seconds(&idle).is_some_and(|s| !(30.0..=4.0 * 3600.0).contains(&s)) {
        out.invalid(&idle, format!("connections cannot be idle for {}", idle.shown()))
            .field(kubelet.field("streamingConnectionIdleTimeout"))
            .help("from `30s` to `4h`");
    }
}

fn amounts(kubelet: &Kubelet<'_>, out: &mut Out) {
    let settings = &kubelet.settings;
    let reclaim = SIGNALS.map(|(what, spelled)| {
        (settings.get("evictionMinimumReclaim").get(what), format!("evictionMinimumReclaim.{spelled}"))
    });
    let reserved = ["kubeReserved", "systemReserved"].into_iter().flat_map(|section| {
        ["cpu", "memory", "ephemeralStorage", "pid"].map(move |what| (settings.get(section).get(what), format!("{section}.{what}")))
    });
    let size = [(settings.get("containerLogMaxSize"), "containerLogMaxSize".to_owned())];
    for (node, spelled) in reclaim.into_iter().chain(reserved).chain(size) {
        if is_negative(&node) {
            out.invalid(&node, format!("{} is negative", node.shown())).field(kubelet.field(&spelled));
        }
    }
    let system = settings.get("systemReserved");
    if system.is_set() && since(kubelet.version, 31) {
        out.invalid(&system, "`systemReserved` is gone from Kubernetes 1.31 on")
            .on_key()
            .field(kubelet.field("systemReserved"))
            .help("use `kubeReserved`");
    }
}

fn eviction(cx: &Cx<'_>, out: &mut Out) {
    for kubelet in kubelets(cx) {
        for section in ["evictionHard", "evictionSoft"] {
            for (what, spelled) in SIGNALS {
                let node = kubelet.settings.get(section).get(what);
                let fine = amount(&node).is_some_and(|a| !a.is_negative()) || percent(node.str()).is_some_and(|p| p <= 100);
                if node.is_set() && !fine {
                    out.invalid(&node, format!("{} is neither an amount nor a percentage", node.shown()))
                        .field(kubelet.field(&format!("{section}.{spelled}")))
                        .help("for example `200Mi` or `5%`");
                }
            }
        }
    }
}

fn conflicts(cx: &Cx<'_>, out: &mut Out) {
    for kubelet in kubelets(cx) {
        let settings = &kubelet.settings;
        let (high, low) = (settings.get("imageGCHighThresholdPercent"), settings.get("imageGCLowThresholdPercent"));
        if let (Some(h), Some(l)) = (high.int(), low.int())
            && l >= h
        {
            out.forbidden(&low, format!("the low threshold {l} is not below the high one {h}"))
                .field(kubelet.field("imageGCLowThresholdPercent"))
                .and(&high, "the high threshold");
        }
        let (parallel, serial) = (settings.get("maxParallelImagePulls"), settings.get("serializeImagePulls"));
        if parallel.int().is_some_and(|n| n > 1) && serial.flag() == Some(true) {
            out.forbidden(&parallel, "images are pulled one after the other")
                .field(kubelet.field("maxParallelImagePulls"))
                .and(&serial, "because of this")
                .help("set `serializeImagePulls: false`");
        }
        swap(&kubelet, out);
    }
}

fn swap(kubelet: &Kubelet<'_>, out: &mut Out) {
    let (swap, fail) = (kubelet.settings.get("memorySwap"), kubelet.settings.get("failSwapOn"));
    if !swap.is_set() {
        return;
    }
    let behavior = swap.get("swapBehavior");
    let gate = kubelet.settings.get("featureGates").get("NodeSwap");
    let field = kubelet.field("memorySwap");
    if fail.flag() == Some(true) {
        out.forbidden(&swap, "swap is set up, but the kubelet refuses to start with swap").field(field).help("set `failSwapOn: false`");
    } else if behavior.is_set() && gate.flag() != Some(true) {
        out.forbidden(&swap, "swap needs the feature gate `NodeSwap` of the kubelet").field(field).help("set `featureGates: {NodeSwap: true}`");
    }
    if behavior.is_set() && !matches!(behavior.str(), "NoSwap" | "LimitedSwap") {
        out.not_supported(&behavior, format!("{} is no way to use swap", behavior.shown()))
            .field(kubelet.field("memorySwap.swapBehavior"))
            .help("use `NoSwap` or `LimitedSwap`");
    }
}

fn image_access(cx: &Cx<'_>, out: &mut Out) {
    const POLICIES: [&str; 4] = ["NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify"];
    for kubelet in kubelets(cx) {
        let (name, list) = ("imagePullCredentialsVerificationPolicy", "preloadedImagesVerificationAllowlist");
        let (policy, allowed) = (kubelet.settings.get(name), kubelet.settings.get(list));
        let gate = kubelet.settings.get("featureGates").get("KubeletEnsureSecretPulledImages");
        if policy.is_set() {
            if !since(kubelet.version, 35) {
                out.forbidden(&policy, "credentials of images are checked from Kubernetes 1.35 on").on_key().field(kubelet.field(name));
            } else if gate.flag() == Some(false) {
                out.forbidden(&policy, "this needs the feature gate `KubeletEnsureSecretPulledImages`")
                    .on_key()
                    .field(kubelet.field(name))
                    .and(&gate, "it is switched off here");
            }
            if !POLICIES.contains(&policy.str()) {
                out.not_supported(&policy, format!("{} is no policy", policy.shown()))
                    .field(kubelet.field(name))
                    .help(format!("possible are {}", listed(POLICIES)));
            }
        }
        if !allowed.is_empty() && policy.str() != "NeverVerifyAllowlistedImages" {
            out.forbidden(&allowed, "a list of images is only for the policy `NeverVerifyAllowlistedImages`")
                .on_key()
                .field(kubelet.field(list));
        }
        for (index, node) in allowed.items().iter().enumerate() {
            if !is_image_pattern(node.str()) {
                out.invalid(node, format!("{} is no image, and no beginning of one", node.shown()))
                    .field(kubelet.field(&format!("{list}[{index}]")))
                    .help("for example `registry.example.org/tools` or `registry.example.org/tools/*`");
            }
        }
    }
}

/// An image without tag, or a registry and path followed by `/*`.
fn is_image_pattern(text: &str) -> bool {
    let name = text.strip_suffix("/*").unwrap_or(text);
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':');
    !name.is_empty() && !name.starts_with('/') && !name.ends_with('/') && name.chars().all(usable)
}
