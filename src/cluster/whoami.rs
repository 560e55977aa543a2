//! Who we are to a cluster.

use serde_json::{Value, json};

use super::{ClusterError, Clusters, Write};
use crate::landscape::Target;

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// The name by which a cluster knows us (SelfSubjectReview). Whoever is let in may ask; nothing is stored.
pub async fn whoami(clusters: &Clusters, target: &Target) -> Result<String, ClusterError> {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let cluster = clusters.cluster(target)?;
    let answer = cluster.write_unfenced(Write::Create, REVIEWS, review.to_string().into_bytes(), Some("get")).await?;
    match answer.body.pointer("/status/userInfo/username").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(ClusterError::Garbled { operation: format!("create {REVIEWS}"), message: "it names no user".to_owned() }),
    }
}
