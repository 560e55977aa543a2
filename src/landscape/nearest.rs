//! The known word that an unknown one was probably meant to be.

/// The candidate nearest to a word, if any is near enough to be worth asking about.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = distance(&lower, &candidate.to_lowercase());
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    // A third of the letters may be wrong; in short words one.
    best.filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(lower.chars().count()) / 3).max(1))
        .map(|(_, c)| c)
}

/// The candidates in the order of their distance to a word, at most so many.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let mut all: Vec<(usize, &str)> = candidates.into_iter().map(|c| (distance(&lower, &c.to_lowercase()), c)).collect();
    all.sort_unstable();
    all.into_iter().take(most).map(|(_, candidate)| candidate).collect()
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_near_and_other_words_are_not() {
        let fields = ["kubernetes", "provider", "region", "zones"];
        assert_eq!(nearest("kubernets", fields), Some("kubernetes"));
        assert_eq!(nearest("Region", fields), Some("region"));
        assert_eq!(nearest("zone", fields), Some("zones"));
        assert_eq!(nearest("porvider", fields), Some("provider"));
        assert_eq!(nearest("replicas", fields), None);
    }
}
