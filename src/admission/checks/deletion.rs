//! Absence is not deletion: the codes under which admission says so.
//!
//! These findings are raised for owners that are in no file any more, so no function here looks at a manifest.

use super::prelude::*;

rules! {
    /// A shoot that was accepted is gone from Git without having said that it may be deleted (V-372).
    ///
    /// It stays as it was accepted. To delete it, restore the file with the annotation
    /// `confirmation.gardener.cloud/deletion: "true"`, let that be accepted, then remove the file.
    "SHOOT-DELETE-UNCONFIRMED", "a shoot is gone from Git without confirmation", Any, quiet;
    /// A seed that was accepted is gone from Git without having said that it may be deleted (V-372, V-376).
    "SEED-DELETE-UNCONFIRMED", "a seed is gone from Git without confirmation", Any, quiet;
    /// A project that was accepted is gone from Git without having said that it may be deleted (V-372).
    "PROJECT-DELETE-UNCONFIRMED", "a project is gone from Git without confirmation", Any, quiet;
    /// The landscape is in no file that can be read. Without settings nothing could be guarded, so those that were accepted go on
    /// being in force, freezes included.
    "LANDSCAPE-GONE", "there is no landscape.yaml that can be read", Any, quiet;
    /// An object is gone from Git while others still refer to it (V-366, V-371, V-376). It stays as it was accepted.
    "DELETE-IN-USE", "an object is gone from Git while it is used", Any, quiet;
    /// A document has no readable identity: it could be any object, so nothing is deleted while it is there.
    "DELETE-FROZEN", "nothing is deleted while a document cannot be identified", Any, quiet;
    /// A change of the specification together with the confirmation to delete is possible, but will be lost with the object.
    "SHOOT-DELETE-CONFIRMED", "a shoot may be deleted", Shoot, confirmed as Espalier;
    /// Evaluating an object failed: a defect of this program, not of the object. The object is held until it is mended.
    "INTERNAL-ERROR", "an evaluation failed", Any, quiet;
}

fn quiet(_: &Cx<'_>, _: &mut Out) {}

fn confirmed(cx: &Cx<'_>, out: &mut Out) {
    let node = cx.new.at("metadata/annotations").get(crate::admission::CONFIRMATION);
    if node.text() == Some("true") {
        out.note(&node, "the cluster will be deleted when its file is removed");
    }
}
