//! The strategies: which of the seeds that could host a shoot are near enough.

use std::collections::BTreeMap;

use super::Rejections;
use super::filter::Candidate;
use crate::admission::Node;
use crate::landscape::Distances;

/// What a landscape and a shoot say about nearness.
pub(super) struct Setting<'a> {
    strategy: Strategy,
    provider: &'a str,
    region: &'a str,
    distances: Option<&'a BTreeMap<String, i64>>,
}

enum Strategy {
    /// Any seed of the provider: for clusters whose control plane may be anywhere.
    Anywhere,
    SameRegion,
    MinimalDistance,
}

impl<'a> Setting<'a> {
    /// Reads the strategy (`spec.scheduling.strategy` of the landscape), and the distances of the shoot's cloud profile.
    pub(super) fn of(landscape: &Node<'a>, shoot: &Node<'a>, distances: Option<&'a Distances>) -> Self {
        let strategy = match (shoot.at("spec/purpose").str(), landscape.at("spec/scheduling/strategy").str()) {
            ("testing", _) => Strategy::Anywhere,
            (_, "MinimalDistance") => Strategy::MinimalDistance,
            _ => Strategy::SameRegion,
        };
        let (provider, region) = (shoot.at("spec/provider/type").str(), shoot.at("spec/region").str());
        Self { strategy, provider, region, distances: distances.and_then(|d| d.get(region)) }
    }

    /// The distance that was given for a region: 0 for the shoot's own.
    fn given(&self, region: &str) -> Option<i64> {
        let given = self.distances?;
        given.get(region).copied().or_else(|| (region == self.region).then_some(0))
    }
}

/// The nearest seeds, and how they were found.
pub(super) fn closest<'a, 'b>(
    setting: &Setting<'_>,
    seeds: Vec<&'b Candidate<'a>>,
    rejections: &mut Rejections,
) -> (Vec<&'b Candidate<'a>>, String) {
    let provider = |seed: &Candidate<'_>| seed.manifest.at("spec/provider/type").str() == setting.provider;
    let region = |seed: &'b Candidate<'a>| seed.manifest.at("spec/provider/region").str();
    let mut keep = |fits: &dyn Fn(&'b Candidate<'a>) -> bool, why: &dyn Fn(&'b Candidate<'a>) -> String| {
        let (near, far): (Vec<_>, Vec<_>) = seeds.iter().copied().partition(|seed| fits(seed));
        rejections.0.extend(far.into_iter().map(|seed| (seed.name.to_owned(), why(seed))));
        near
    };
    match setting.strategy {
        Strategy::Anywhere => (
            keep(&|seed| provider(seed), &|seed| format!("is on another provider, in region `{}`", region(seed))),
            "any seed of the provider, as its purpose is testing".to_owned(),
        ),
        Strategy::SameRegion => (
            keep(&|seed| provider(seed) && region(seed) == setting.region, &|seed| {
                format!("is in region `{}`, the shoot is in `{}`", region(seed), setting.region)
            }),
            format!("the shoot's region `{}`", setting.region),
        ),
        Strategy::MinimalDistance => {
            let given = |seed: &'b Candidate<'a>| setting.given(region(seed)).filter(|_| provider(seed));
            if let Some(least) = seeds.iter().filter_map(|seed| given(seed)).min() {
                let near = keep(&|seed| given(seed) == Some(least), &|seed| match given(seed) {
                    Some(far) => format!("is at distance {far}, another at {least}"),
                    None => format!("has no known distance from region `{}`", setting.region),
                });
                return (near, format!("the smallest distance {least} from region `{}`", setting.region));
            }
            let measured =
                |seed: &'b Candidate<'a>| resemblance(setting.region, region(seed)) + if provider(seed) { 0 } else { 2 };
            let least = seeds.iter().map(|seed| measured(seed)).min().unwrap_or_default();
            let near = keep(&|seed| measured(seed) == least, &|seed| {
                format!("its region `{}` is less like `{}` ({}, another {least})", region(seed), setting.region, measured(seed))
            });
            (near, format!("the region most like `{}` by name ({least})", setting.region))
        }
    }
}

/// Words that say where in a country a region lies.
const ORIENTATIONS: [&str; 9] = ["north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest"];

/// How unlike two names of regions are: twice the edits between what is left of them without their orientation, and how the
/// orientations differ.
fn resemblance(a: &str, b: &str) -> usize {
    let ((base_a, way_a), (base_b, way_b)) = (split(a), split(b));
    let orientation = match (way_a, way_b) {
        (a, b) if a == b => 0,
        (Some(_), Some(_)) => 2,
        _ => 1,
    };
    2 * edits(&base_a, &base_b) + orientation
}

/// A region's name without its orientation, and the orientation: the longest word that it contains.
fn split(region: &str) -> (String, Option<&'static str>) {
    let found = ORIENTATIONS.iter().copied().filter(|word| region.contains(word)).max_by_key(|word| word.len());
    (found.map_or_else(|| region.to_owned(), |word| region.replacen(word, "", 1)), found)
}

/// The number of characters to insert, remove or replace (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_regions_are_compared_without_their_orientation() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(resemblance("europe-west1", "europe-west1"), 0);
        assert_eq!(resemblance("europe-west1", "europe-west3"), 2);
        assert_eq!(resemblance("europe-west1", "europe-north1"), 2);
        assert_eq!(resemblance("eu-central-1", "eu--1"), 1);
    }
}
