//! The codes of findings that reading YAML can raise, with what `explain` prints about them.

/// Code, title and explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "DOC-SYNTAX",
        "the text is not YAML",
        "The document cannot be read from this place on. Mostly the indentation or a quote above it is wrong.",
    ),
    (
        "DOC-ENCODING",
        "the file is not UTF-8",
        "Manifests are UTF-8 text. Save the file in that encoding; a byte order mark is fine.",
    ),
    (
        "DOC-BIDI",
        "text is shown in another order than it is read",
        "Bidirectional control characters make a reviewer see something else than the program reads, so they are refused everywhere, comments included.",
    ),
    (
        "DOC-CONTROL",
        "a control character",
        "Control characters are invisible in review and have no meaning in a manifest. Write them escaped in a double-quoted string if they are meant.",
    ),
    (
        "DOC-DUPLICATE-KEY",
        "a key is given twice",
        "Which of the two would win differs between readers, so neither does. Remove one.",
    ),
    ("DOC-KEY-TYPE", "a key is not text", "Keys of manifests are strings. A key such as `on` or `1` needs quotes."),
    ("DOC-NUMBER", "a number cannot be held exactly", "The number would be rounded. Quote it if it is text."),
    (
        "DOC-ANCHOR",
        "anchors are not accepted",
        "An anchored value takes effect at places that do not show it. Write the value where it is meant.",
    ),
    (
        "DOC-ALIAS",
        "aliases are not accepted",
        "An alias hides what a reviewer should see, and a few lines of them can expand without bound. Write the value itself.",
    ),
    (
        "DOC-MERGE-KEY",
        "merge keys are not accepted",
        "`<<` brings in fields that do not show where they take effect. Write the fields themselves.",
    ),
    (
        "DOC-TAG",
        "tags are not accepted",
        "A tag changes the type of a value depending on the reader. Quote the value if it is text.",
    ),
    (
        "DOC-NOT-OBJECT",
        "a document is not an object",
        "Each document of a file is one manifest: a map with apiVersion, kind and metadata.",
    ),
    ("DOC-BUDGET-BYTES", "a document is too long", "No API server would accept an object of this size. Split it."),
    ("DOC-BUDGET-NODES", "a document has too many values", "No API server would accept an object with so many values. Split it."),
    (
        "DOC-BUDGET-DEPTH",
        "a document is nested too deeply",
        "Nothing in a landscape is nested this deeply; readers would run out of stack.",
    ),
    ("DOC-BUDGET-DOCUMENTS", "a file has too many documents", "Spread the documents over several files."),
    ("DOC-BUDGET-SCALAR", "a value is too long", "Text of this length does not belong in a manifest."),
];
