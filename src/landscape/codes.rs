//! The codes of findings that reading a landscape can raise, with what `explain` prints about them.

/// Code, title and explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "FIELD-UNKNOWN",
        "a field is unknown",
        "The kind has no such field, so nothing would ever act upon it. Mostly it is misspelt or one level too deep or too high.",
    ),
    (
        "FIELD-TYPE",
        "a field has the wrong type",
        "The field holds a number where text is wanted, a map where a list is wanted, and so on. Text that looks like a number needs quotes.",
    ),
    (
        "FIELD-FORMAT",
        "a field has the wrong form",
        "The field holds text, but not a quantity (500m, 2, 100Mi), a duration (30s, 1h30m) or a time (2026-11-21T10:00:00Z) as it should.",
    ),
    (
        "LOAD-NO-LANDSCAPE",
        "landscape.yaml is missing",
        "A landscape needs a landscape.yaml at its root: its name, its domains, and where its clusters are.",
    ),
    (
        "LOAD-IDENTITY",
        "a document has no identity",
        "A manifest needs apiVersion, kind and metadata.name. While it is not known what a document is about, nothing at all is deleted.",
    ),
    (
        "LOAD-KIND",
        "a kind does not belong in a landscape",
        "Only the kinds of the documented layout are read from the repository; others are neither applied nor ignored silently.",
    ),
    (
        "LOAD-PLACE",
        "an object lies in the wrong folder",
        "Where an object lies decides who reviews it and which project it belongs to, so each kind has one folder.",
    ),
    (
        "LOAD-NAMESPACE",
        "the namespace contradicts the path",
        "The folder below projects/ names the project. A namespace in the manifest is not needed, and may not say otherwise.",
    ),
    (
        "LOAD-NAME",
        "the name contradicts the path",
        "projects/<name>/project.yaml describes the project of that name, and no other.",
    ),
    (
        "LOAD-DUPLICATE",
        "an object is defined twice",
        "Two documents describe the same object. Neither wins; the object stays as it was last accepted.",
    ),
    (
        "LOAD-LINK",
        "a link stands where a file should",
        "Symbolic links and submodules are not followed: what they lead to is not under review here.",
    ),
    (
        "LOAD-PATH",
        "a file's name cannot be used",
        "Control characters, backslashes, letters beyond ASCII, Git's own names and names that differ only in case mean different things on different machines.",
    ),
    (
        "LOAD-SIZE",
        "a file or an object is too large",
        "Files of more than 2 MiB are not read; a Shoot of more than 750 KiB or a Project of more than 300 KiB is refused, as Gardener refuses them. Nothing legitimate is near these.",
    ),
    ("LOAD-TEXT", "a file is not text", "Policies, templates and schemas must be UTF-8."),
    (
        "LOAD-DISTANCES",
        "region distances cannot be read",
        "Each entry of the ConfigMap names a region and maps other regions to whole numbers.",
    ),
    (
        "SECRET-PLAIN",
        "a Secret is not encrypted",
        "Whoever can read the repository can read it. Encrypt it with SOPS or age, or keep it in the garden and refer to it.",
    ),
    (
        "SECRET-ENCRYPTED",
        "an encrypted Secret was recognised",
        "It is not decrypted here; what uses it waits until the garden has a Secret of that name.",
    ),
    (
        "PASTE-DROPPED",
        "fields set by a server were left out",
        "The manifest was copied from a cluster. Status, identifiers and bookkeeping of the server say nothing about what is wanted.",
    ),
    (
        "PASTE-FINALIZER",
        "a manifest has finalizers",
        "Finalizers are promises of controllers to clean up; set from Git they would block a deletion for ever.",
    ),
    (
        "PASTE-PRIVILEGED",
        "an annotation or label may not be set in Git",
        "It makes a controller act once, or stands for something that was decided elsewhere; left in Git it would be repeated or forged.",
    ),
    ("REF-MISSING", "a reference leads nowhere", "The object that is named does not exist in the repository."),
];
