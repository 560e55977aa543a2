//! The codes that admission raises outside its rules, with what `explain` prints about them.

/// Code, title and explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "DELETE-FROZEN",
        "nothing is deleted for now",
        "A document whose identity cannot be read might be any object, also one that seems to be gone. Until it is mended or removed, no object of the landscape is deleted.",
    ),
    (
        "DELETE-BUDGET",
        "more would be deleted than one change may",
        "spec.guards.maxDeletions of landscape.yaml bounds how many shoots, seeds and projects go at once. Beyond it none of them does, so that a mass deletion is seen as one decision.",
    ),
    (
        "FREEZE",
        "intent is kept back by a freeze",
        "spec.guards.freeze of the accepted landscape.yaml says that changes are not acted upon for now, in some projects or in all. What was accepted before goes on being repaired; what was committed meanwhile is taken up when the freeze ends. `espalier resume` ends one.",
    ),
    (
        "DELETE-IN-USE",
        "an object that is gone from Git is still used",
        "Something else refers to it. It stays as it was last accepted until nothing does.",
    ),
    (
        "INTERNAL-ERROR",
        "a rule failed",
        "The program met a situation that it should have handled. The object is held; please report what the message says.",
    ),
    (
        "POLICY",
        "a policy cannot be understood",
        "Policies are ValidatingAdmissionPolicy manifests with CEL expressions. One that cannot be compiled or evaluated refuses rather than lets through; the version before stays in force.",
    ),
    (
        "POLICY-TEST",
        "a test case of a policy fails",
        "Policy files carry test cases (kind PolicyTest): an object and whether it is to be allowed or denied. This one came out otherwise.",
    ),
];
