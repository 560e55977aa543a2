//! Writes a large landscape: `cargo run --release --example generate -- --shoots N --seed S DIR`.
//!
//! The same arguments give the same bytes. Seeds hold at most 250 shoots, projects 25, and all shapes of shoots are mixed. What
//! is written validates without a finding.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What Gardener recommends as the most shoots of a seed.
const SHOOTS_PER_SEED: usize = 250;
/// Shoots of a project.
const SHOOTS_PER_PROJECT: usize = 25;
/// Regions with the seed's provider, and their zones' suffixes.
const REGIONS: &[&str] = &["eu-west-1", "us-east-1", "ap-south-1", "eu-central-1"];
/// Versions that the profile offers.
const VERSIONS: &[&str] = &["1.33.5", "1.33.9", "1.34.2", "1.34.6", "1.35.1", "1.35.3"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let files = landscape(arguments.shoots, arguments.seed);
    for (path, text) in &files {
        let path = arguments.folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

struct Arguments {
    shoots: usize,
    seed: u64,
    folder: PathBuf,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        const USAGE: &str = "usage: generate --shoots N [--seed S] DIR";
        let (mut shoots, mut seed, mut folder) = (None, 0, None);
        while let Some(argument) = given.next() {
            let mut number = || given.next().ok_or(USAGE)?.parse::<u64>().map_err(|e| format!("{argument}: {e}; {USAGE}"));
            match argument.as_str() {
                "--shoots" => shoots = Some(usize::try_from(number()?).map_err(|e| e.to_string())?),
                "--seed" => seed = number()?,
                _ if argument.starts_with('-') || folder.is_some() => return Err(USAGE.to_owned()),
                _ => folder = Some(Path::new(&argument).to_owned()),
            }
        }
        match (shoots, folder) {
            (Some(shoots), Some(folder)) => Ok(Self { shoots, seed, folder }),
            _ => Err(USAGE.to_owned()),
        }
    }
}

/// `SplitMix64`: good enough to mix shapes, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// All files of a landscape by path.
pub(crate) fn landscape(shoots: usize, seed: u64) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut random = Random(seed);
    let seeds = shoots.div_ceil(SHOOTS_PER_SEED).max(1);
    let projects = shoots.div_ceil(SHOOTS_PER_PROJECT).max(1);
    files.insert("landscape.yaml".to_owned(), LANDSCAPE.replace("$seed", &seed.to_string()));
    files.insert("cloudprofiles/aws.yaml".to_owned(), profile());
    files.insert("extensions/all.yaml".to_owned(), extensions());
    for number in 0..seeds {
        files.insert(format!("seeds/s{number}.yaml"), seed_file(number));
    }
    for number in 0..projects {
        let name = format!("p{number}");
        files.insert(format!("projects/{name}/project.yaml"), PROJECT.replace("$name", &name));
        files.insert(format!("projects/{name}/credentials/aws.yaml"), BINDING.replace("$name", &name));
    }
    for number in 0..shoots {
        let project = number / SHOOTS_PER_PROJECT;
        let name = format!("c{number}");
        // Shoots spread over the seeds' regions as the seeds do, so that none of them overflows.
        let region = REGIONS[(number % seeds) % REGIONS.len()];
        files.insert(format!("projects/p{project}/shoots/{name}.yaml"), shoot(number, &name, region, &mut random));
    }
    files
}

const LANDSCAPE: &str = "# Generated with seed $seed.
apiVersion: espalier.dev/v1alpha1
kind: Landscape
metadata:
  name: large
spec:
  domains:
    internal: internal.large.example.org
    default: shoots.large.example.org
  clusters: sim
  guards:
    maxDeletions: 5
  status:
    interval: 30s
";

const PROJECT: &str = "apiVersion: core.gardener.cloud/v1beta1
kind: Project
metadata:
  name: $name
spec:
  namespace: garden-$name
  description: Generated project
  owner:
    apiGroup: rbac.authorization.k8s.io
    kind: User
    name: $name@example.org
";

const BINDING: &str = "apiVersion: security.gardener.cloud/v1alpha1
kind: CredentialsBinding
metadata:
  name: aws
provider:
  type: aws
credentialsRef:
  apiVersion: v1
  kind: Secret
  name: aws
  namespace: garden-$name
";

fn profile() -> String {
    let mut text = "apiVersion: core.gardener.cloud/v1beta1
kind: CloudProfile
metadata:
  name: aws
spec:
  type: aws
  kubernetes:
    versions:
"
    .to_owned();
    for version in VERSIONS.iter().rev() {
        // The newer patch of each minor is the supported one.
        let supported = if newest(version) { "        classification: supported\n" } else { "" };
        push(&mut text, &format!("      - version: {version}\n{supported}"));
    }
    text.push_str(
        "  machineImages:
    - name: gardenlinux
      updateStrategy: minor
      versions:
        - version: 1877.3.0
          classification: supported
          architectures: [amd64, arm64]
          cri:
            - name: containerd
  machineTypes:
    - {name: m6i.large, cpu: \"2\", gpu: \"0\", memory: 8Gi, architecture: amd64}
    - {name: m6i.xlarge, cpu: \"4\", gpu: \"0\", memory: 16Gi, architecture: amd64}
    - {name: m6i.2xlarge, cpu: \"8\", gpu: \"0\", memory: 32Gi, architecture: amd64}
    - {name: m6g.xlarge, cpu: \"4\", gpu: \"0\", memory: 16Gi, architecture: arm64}
  volumeTypes:
    - {name: gp3, class: standard, minSize: 20Gi}
  regions:
",
    );
    for region in REGIONS {
        push(&mut text, &format!("    - name: {region}\n      zones:\n"));
        for zone in ["a", "b", "c"] {
            push(&mut text, &format!("        - name: {region}{zone}\n"));
        }
    }
    text
}

/// Whether a version is the newest patch of its minor.
fn newest(version: &str) -> bool {
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    VERSIONS.iter().rev().find(|other| minor(other) == minor(version)) == Some(&version)
}

fn extensions() -> String {
    let registrations: &[(&str, &[(&str, &str)])] = &[
        (
            "provider-aws",
            &[
                ("BackupBucket", "aws"),
                ("BackupEntry", "aws"),
                ("ControlPlane", "aws"),
                ("DNSRecord", "aws-route53"),
                ("Infrastructure", "aws"),
                ("Worker", "aws"),
            ],
        ),
        ("networking-calico", &[("Network", "calico")]),
        ("networking-cilium", &[("Network", "cilium")]),
        ("os-gardenlinux", &[("OperatingSystemConfig", "gardenlinux")]),
    ];
    let mut text = String::new();
    for (name, resources) in registrations {
        push(
            &mut text,
            &format!(
                "---
apiVersion: core.gardener.cloud/v1
kind: ControllerDeployment
metadata:
  name: {name}
helm:
  ociRepository:
    repository: registry.example.org/charts/{name}
    tag: v1.0.0
---
apiVersion: core.gardener.cloud/v1beta1
kind: ControllerRegistration
metadata:
  name: {name}
spec:
  deployment:
    deploymentRefs:
      - name: {name}
  resources:
"
            ),
        );
        for (kind, of) in *resources {
            push(&mut text, &format!("    - {{kind: {kind}, type: {of}}}\n"));
        }
    }
    text
}

fn seed_file(number: usize) -> String {
    let region = REGIONS[number % REGIONS.len()];
    // A /13 of 10.0.0.0/8 would run out after 32 seeds: each gets a /16 of its own for nodes, pods and services.
    let (high, low) = (number / 64, number % 64);
    let base = 1 + low * 3;
    let network = |offset: usize| format!("{}.{}.0.0/16", 10 + high, base + offset);
    let secret = |name: &str| format!("{{apiVersion: v1, kind: Secret, name: {name}, namespace: garden}}");
    format!(
        "apiVersion: core.gardener.cloud/v1beta1
kind: Seed
metadata:
  name: s{number}
spec:
  provider:
    type: aws
    region: {region}
    zones: [{region}a, {region}b, {region}c]
  networks:
    nodes: {}
    pods: {}
    services: {}
    shootDefaults:
      pods: 100.96.0.0/11
      services: 100.64.0.0/13
  ingress:
    domain: ingress.s{number}.large.example.org
    controller:
      kind: nginx
  dns:
    provider:
      type: aws-route53
      credentialsRef: {}
    internal:
      type: aws-route53
      domain: internal.large.example.org
      credentialsRef: {}
    defaults:
      - type: aws-route53
        domain: shoots.large.example.org
        credentialsRef: {}
  backup:
    provider: aws
    region: {region}
    credentialsRef: {}
  settings:
    scheduling:
      visible: true
    verticalPodAutoscaler:
      enabled: true
",
        network(0),
        network(1),
        network(2),
        secret("dns"),
        secret("dns"),
        secret("dns"),
        secret("backup"),
    )
}

/// One shoot; its number decides the shape, the generator the details.
fn shoot(number: usize, name: &str, region: &str, random: &mut Random) -> String {
    let workerless = number % 17 == 5;
    let dual = number % 11 == 3 && !workerless;
    let hibernated = number % 13 == 7 && !workerless;
    let zonal = number % 7 == 1;
    let wide = number % 9 == 4 && !workerless;
    let purpose = if zonal { "production" } else { random.pick(&["evaluation", "development"]) };
    let version = random.pick(VERSIONS);
    let mut text = format!(
        "apiVersion: core.gardener.cloud/v1beta1
kind: Shoot
metadata:
  name: {name}
  labels:
    team: {}
spec:
  purpose: {purpose}
  region: {region}
  cloudProfile:
    kind: CloudProfile
    name: aws
",
        random.pick(&["red", "green", "blue"]),
    );
    if !workerless {
        text.push_str("  credentialsBindingName: aws\n");
    }
    if zonal {
        text.push_str("  controlPlane:\n    highAvailability:\n      failureTolerance:\n        type: zone\n");
    }
    if hibernated {
        text.push_str(
            "  hibernation:
    enabled: true
    schedules:
      - start: 0 23 * * 1-5
        end: 0 5 * * 1-5
        location: Europe/Berlin
",
        );
    }
    push(&mut text, &format!("  kubernetes:\n    version: {version}\n"));
    if dual {
        text.push_str("    kubeProxy:\n      enabled: false\n");
    }
    if wide {
        text.push_str("    kubelet:\n      maxPods: 100\n      evictionHard:\n        memoryAvailable: 200Mi\n");
    }
    if workerless {
        text.push_str("  networking:\n    services: 100.64.0.0/13\n  provider:\n    type: aws\n");
    } else {
        let nodes = format!("10.{}.0.0/16", 200 + number % 50);
        let (network, families) = if dual { ("cilium", "    ipFamilies: [IPv4, IPv6]\n") } else { ("calico", "") };
        push(
            &mut text,
            &format!(
                "  networking:
    type: {network}
{families}    nodes: {nodes}
    pods: 100.96.0.0/11
    services: 100.64.0.0/13
  provider:
    type: aws
    infrastructureConfig:
      apiVersion: aws.provider.extensions.gardener.cloud/v1alpha1
      kind: InfrastructureConfig
      networks:
        vpc:
          cidr: {nodes}
    workers:
"
            ),
        );
        let pools = if wide { 3 + random.below(4) } else { 1 + random.below(2) };
        for pool in 0..pools {
            worker(&mut text, pool, region, zonal, random);
        }
    }
    push(
        &mut text,
        &format!(
            "  maintenance:
    timeWindow:
      begin: {0:02}0000+0000
      end: {0:02}3000+0000
    autoUpdate:
      kubernetesVersion: false
",
            // At night, from 18 to 5 o'clock; before it goes to sleep if the cluster does.
            if hibernated { 18 + random.below(3) } else { (18 + random.below(12)) % 24 }
        ),
    );
    if !workerless {
        text.push_str("      machineImageVersion: false\n");
    }
    text
}

fn worker(text: &mut String, pool: usize, region: &str, zonal: bool, random: &mut Random) {
    let machine = random.pick(&["m6i.large", "m6i.xlarge", "m6i.2xlarge", "m6g.xlarge"]);
    let architecture = if machine.starts_with("m6g") { "arm64" } else { "amd64" };
    // The first pool hosts system components in every zone of the shoot, so it is never empty.
    let spread = if zonal { 3 } else { 1 + random.below(2) };
    let minimum = if pool == 0 { spread } else { random.below(2) };
    let maximum = minimum.max(spread) + random.below(8);
    let zones: Vec<String> = ["a", "b", "c"].iter().take(spread).map(|zone| format!("{region}{zone}")).collect();
    push(
        text,
        &format!(
            "      - name: w{pool}
        minimum: {minimum}
        maximum: {maximum}
        maxSurge: 1
        maxUnavailable: 0
        machine:
          type: {machine}
          architecture: {architecture}
          image:
            name: gardenlinux
            version: 1877.3.0
        volume:
          type: gp3
          size: {}Gi
        zones: [{}]
",
            30 + 10 * random.below(8),
            zones.join(", "),
        ),
    );
    if pool > 0 {
        text.push_str("        systemComponents:\n          allow: false\n");
    }
}

fn push(text: &mut String, more: &str) {
    text.write_str(more).expect("a string takes any text");
}
