//! Few that are broken among many that are not: each is told at its place, and nobody else notices.

use std::collections::{BTreeMap, BTreeSet};

use espalier::admission::policy::Policies;
use espalier::admission::{Accepted, Admitted, Memory, admit};
use espalier::finding::{Finding, Findings, Severity};
use espalier::landscape::{FileMemo, Kind, Owner, load};

use super::landscapes::snapshot;
use super::large::generate;

/// One way to break a shoot: the line that begins like this becomes that; the code of what is found, and where: at the bar.
const WAYS: &[(&str, &str, &str, &str)] = &[
    ("  region: ", "  region: \"eu", "DOC-SYNTAX", "\"eu\n  |cloudProfile"),
    ("  region: ", "  regoin: eu-west-1", "FIELD-UNKNOWN", "|regoin"),
    ("          type: gp3", "          type: 3", "FIELD-TYPE", "type: |3"),
    ("  region: ", "  region: eu-west-1\n  region: eu-west-1", "DOC-DUPLICATE-KEY", "eu-west-1\n  |region"),
    ("  cloudProfile:", "  cloudProfile: &p", "DOC-ANCHOR", "|&p"),
    ("            name: gardenlinux", "            name: !!str gardenlinux", "DOC-TAG", "|!!str"),
    ("spec:", "spec:\n  <<: {purpose: testing}", "DOC-MERGE-KEY", "|<<"),
    ("    pods: ", "    pods: 100.96.0.0/33", "SHOOT-NET-CIDR", "pods: |100.96"),
    ("    services: ", "    services: 100.96.0.0/13", "SHOOT-NET-OVERLAP", "services: |100.96"),
    ("    name: aws", "    name: azure", "SHOOT-PROFILE", "name: |azure"),
    ("    version: ", "    version: 1.20.0", "SHOOT-VERSION-NOT-OFFERED", "version: |1.20.0"),
    ("  region: ", "  region: mars-1", "SHOOT-REGION", "region: |mars-1"),
    ("          type: m6", "          type: m9.huge", "SHOOT-MACHINE-NOT-OFFERED", "type: |m9.huge"),
    ("            version: 1877.3.0", "            version: 1.0.0", "SHOOT-IMAGE-NOT-OFFERED", "version: |1.0.0"),
    ("          type: gp3", "          type: floppy", "SHOOT-VOLUME-NOT-OFFERED", "type: |floppy"),
    ("        zones: [", "        zones: [eu-west-9z]", "SHOOT-ZONE", "[|eu-west-9z"),
    ("        minimum: ", "        minimum: 99", "SHOOT-POOL-SIZE", "99\n        maximum: |"),
    ("        maxSurge: 1", "        maxSurge: 0", "SHOOT-POOL-UPDATE", "maxSurge: 0\n        maxUnavailable: |0"),
    ("      - name: w0", "      - name: W_0", "SHOOT-POOL-NAME", "name: |W_0"),
    ("  credentialsBindingName: aws", "  credentialsBindingName: gcp", "SHOOT-BINDING", "Name: |gcp"),
    ("      begin: ", "      begin: 9am", "SHOOT-MAINTENANCE-WINDOW", "begin: |9am"),
    ("          size: ", "          size: 30Giga", "SHOOT-POOL-VOLUME", "size: |30Giga"),
    ("  purpose: ", "  purpose: fun", "SHOOT-PURPOSE", "purpose: |fun"),
    ("    type: calico", "    type: weave", "SHOOT-EXTENSION-UNKNOWN", "type: |weave"),
    ("    team: ", "    team: \"no way\"", "META-LABEL", "team: |\"no"),
    ("spec:", "spec:\n  dns: {domain: Upper.Example}", "SHOOT-DNS-DOMAIN", "domain: |Upper"),
    ("  labels:", "  finalizers: [a.b/c]\n  labels:", "PASTE-FINALIZER", "|finalizers"),
    ("  labels:", "  annotations:\n    a b: c\n  labels:", "META-ANNOTATION", "|a b"),
    ("      kubernetesVersion: ", "      kubernetesVersion: \"no\"", "FIELD-TYPE", "|\"no\""),
    ("      end: ", "      end: 999999+0000", "SHOOT-MAINTENANCE-WINDOW", "end: |999999"),
    ("          architecture: ", "          architecture: riscv", "SHOOT-POOL-STRATEGY", "architecture: |riscv"),
    ("        maxUnavailable: 0", "        maxUnavailable: 150%", "SHOOT-POOL-UPDATE", "Unavailable: |150%"),
    ("    kind: CloudProfile", "    kind: Profile", "SHOOT-PROFILE", "kind: |Profile"),
    ("    nodes: ", "    nodes: 100.64.0.0/16", "SHOOT-NET-OVERLAP", "services: |100.64"),
    ("  maintenance:", "  seedName: nowhere\n  maintenance:", "SHOOT-SEED", "seedName: |nowhere"),
    (
        "  maintenance:",
        "  hibernation:\n    schedules:\n      - start: 0 25 * * *\n  maintenance:",
        "SHOOT-HIBERNATION-SCHEDULE",
        "start: |0 25",
    ),
    ("  maintenance:", "  exposureClassName: nowhere\n  maintenance:", "SHOOT-EXPOSURE-CLASS", "ClassName: |nowhere"),
];

const SHOOTS: usize = 5_000;
const NOW: i64 = 1_795_219_200;

/// The text with the first line that begins in one way replaced.
fn broken(text: &str, start: &str, with: &str) -> String {
    let mut done = false;
    let lines = text.lines().map(|line| {
        if !done && line.starts_with(start) {
            done = true;
            with
        } else {
            line
        }
    });
    let out: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert!(done, "no line begins with `{start}`");
    out
}

/// Line and column, both from 1, of the bar in a piece of a text.
fn position(text: &str, at: &str) -> (u32, u32) {
    let (before, after) = at.split_once('|').expect("there is a bar");
    let start = text.find(&format!("{before}{after}")).expect("the text has it") + before.len();
    let line = text[..start].matches('\n').count() + 1;
    let column = text[..start].rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (u32::try_from(line).expect("small"), u32::try_from(column).expect("small"))
}

fn judged(files: &BTreeMap<String, String>) -> (Admitted, Findings) {
    let texts = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let (landscape, mut findings) = load(&snapshot(texts), &mut FileMemo::default());
    let (policies, problems) = Policies::compile(&landscape.overlays);
    let (admitted, found) = admit(&landscape, &Accepted::default(), &policies, NOW, &mut Memory::default());
    findings.extend(problems);
    findings.extend(found);
    (admitted, findings.sorted())
}

/// What came of an owner, as bytes: its manifest to act on, and everything that was said about it.
fn outcome(owner: &Owner, admitted: &Admitted, findings: &BTreeMap<&str, Vec<&Finding>>) -> String {
    let said = findings.get(owner.to_string().as_str()).cloned().unwrap_or_default();
    let manifest = admitted.objects.get(owner).map(ToString::to_string);
    format!("{manifest:?} {} {}", admitted.fresh.contains(owner), serde_json::to_string(&said).expect("findings are JSON"))
}

fn by_owner(findings: &Findings) -> BTreeMap<&str, Vec<&Finding>> {
    let mut out: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        out.entry(&finding.owner).or_default().push(finding);
    }
    out
}

#[test]
fn thirty_seven_of_five_thousand_are_held_each_at_its_place() {
    assert_eq!(WAYS.len(), 37);
    let mut files = generate::landscape(SHOOTS, 37);
    // Plain shoots with workers, all over the fleet.
    let plain = |n: &usize| n % 17 != 5 && n % 11 != 3 && n % 13 != 7 && n % 7 != 1 && n % 9 != 4;
    let mut expected = BTreeMap::new();
    for (i, (start, with, code, at)) in WAYS.iter().enumerate() {
        let number = (i * SHOOTS / WAYS.len()..SHOOTS).find(plain).expect("there are plain ones everywhere");
        let path = format!("projects/p{}/shoots/c{number}.yaml", number / 25);
        let text = broken(&files[&path], start, with);
        let owner = Owner::project(Kind::Shoot, format!("p{}", number / 25), format!("c{number}"));
        expected.insert(owner, (path.clone(), *code, position(&text, at), *with));
        files.insert(path, text);
    }
    assert_eq!(expected.len(), 37);
    let (admitted, findings) = judged(&files);
    let held: BTreeSet<&Owner> = admitted.held.keys().collect();
    assert_eq!(held, expected.keys().collect::<BTreeSet<_>>());
    assert!(admitted.frozen.is_none(), "everybody is known: {:?}", admitted.frozen);

    let said = by_owner(&findings);
    let mut wrong = Vec::new();
    for (owner, (path, code, (line, column), with)) in &expected {
        let own: Vec<&&Finding> = said[owner.to_string().as_str()].iter().filter(|f| f.severity == Severity::Error).collect();
        let shown: Vec<String> = own.iter().map(|f| format!("{} {} {}", f.places[0], f.code, f.message)).collect();
        let there = |f: &&&Finding| {
            let span = f.places[0].span.expect("a span");
            f.places[0].path.as_str() == path && f.code.as_str() == *code && (span.line, span.column) == (*line, *column)
        };
        if !own.iter().any(there) {
            wrong.push(format!("{with:?}: expected {path}:{line}:{column} {code}, got\n  {}", shown.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Nobody else notices: without the broken files, all others come out as with them.
    for (path, ..) in expected.values() {
        files.remove(path);
    }
    let (alone, calm) = judged(&files);
    assert!(alone.held.is_empty());
    let quiet = by_owner(&calm);
    assert_eq!(alone.objects.len() + 37, admitted.objects.len() + held.len());
    for owner in alone.objects.keys() {
        assert_eq!(outcome(owner, &admitted, &said), outcome(owner, &alone, &quiet), "{owner}");
    }
}
