//! What is looked at in clusters, and what of it is kept.

use std::collections::BTreeSet;

use crate::cluster::KindRef;
use crate::landscape::controller_registration::{EXTENSION_KINDS, EXTENSIONS};
use crate::landscape::{Kind, Target};
use crate::library::Library;
use crate::observed::Keep;
use crate::pipeline::installations;

/// The kinds that are looked at in a cluster: what a library may write there, and what others have to do with it.
#[must_use]
pub fn kinds_of(library: &Library, target: &Target) -> BTreeSet<KindRef> {
    let written = library.kinds(*target == Target::Garden).into_iter().map(|(api, kind)| KindRef::new(api, kind));
    match target {
        Target::Garden => Kind::ALL.iter().map(|k| KindRef::new(k.api_version(), k.name())).chain(written).collect(),
        // Others write objects of extensions, too: Bastions for one.
        Target::Seed(_) => EXTENSION_KINDS.iter().map(|kind| KindRef::new(EXTENSIONS, *kind)).chain(written).collect(),
    }
}

/// What of objects' bodies is kept: what templates export and plans compare.
#[must_use]
pub fn keep(library: &Library) -> Keep {
    let mut keep = library.keep();
    let beside = std::iter::once(crate::pipeline::KEPT).chain(installations::kept());
    for (group, kind, pointers) in crate::plan::owner::compared().iter().copied().chain(beside) {
        keep.pointers.entry((group.to_owned(), kind.to_owned())).or_default().extend(pointers.iter().map(|p| (*p).to_owned()));
    }
    keep
}
