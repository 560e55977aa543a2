//! What a file says of whom, whether that can be used or not: for whoever looks into the past, where files may have been wrong.

use std::sync::Arc;

use super::file::owners;
use super::paths::{self, Path};
use super::{Owner, secret};
use crate::document::{self, Budget, Document};
use crate::snapshot::RepoPath;

/// The objects of a file, by what they say they are and where the file lies. A Secret is no object of a landscape, so none is here.
#[must_use]
pub fn written(path: &RepoPath, bytes: &[u8]) -> Vec<(Owner, Arc<Document>)> {
    let sorted = paths::sort(path.as_str());
    if matches!(sorted, Path::Overlay | Path::Other) || bytes.trim_ascii_start().starts_with(secret::AGE_ARMOR) {
        return Vec::new();
    }
    let parsed = document::parse(path, bytes, &Budget::default());
    let owner = |document: &Arc<Document>| owners(&document.identity()?, sorted).into_iter().next();
    parsed.documents.into_iter().filter_map(|document| Some((owner(&document)?, document))).collect()
}
