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
    (
        "ACK-MARK",
        "an acknowledgement names no mark",
        "An Acknowledgement accepts one mark, such as one-way or deletes. What a server refuses cannot be acknowledged.",
    ),
    (
        "ACK-CHANGE",
        "an acknowledgement is bound to no change",
        "An Acknowledgement holds for one change only: `spec.change` is the digest that `espalier plan` shows when it refuses that change.",
    ),
    (
        "ACK-OBJECTS",
        "an acknowledgement is about nobody",
        "An Acknowledgement names whom it is about: shoots as project/name, all of a project as project/*, other objects by their names.",
    ),
    (
        "ACK-REASON",
        "an acknowledgement gives no reason",
        "Whoever reads the history later wants to know why the cost of a change was accepted.",
    ),
    (
        "ACK-EXPIRED",
        "an acknowledgement is over",
        "After `spec.until` an Acknowledgement acknowledges nothing any more. Remove the file.",
    ),
    (
        "ACK-UNUSED",
        "an acknowledgement is about another change",
        "Its digest is not that of the change that is planned: the change was merged long ago, or it is another one since. Remove the file, or look at the plan again and set the digest that it shows.",
    ),
];
