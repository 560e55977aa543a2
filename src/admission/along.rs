//! Walking along a sorted sequence beside another one: what two sorted maps say of the same keys costs one step each, not a search.

use std::borrow::Borrow;
use std::iter::Peekable;

/// A sorted sequence of keys and values, and how far it was walked.
pub(super) struct Along<I: Iterator> {
    rest: Peekable<I>,
}

impl<K, V, I: Iterator<Item = (K, V)>> Along<I> {
    /// The beginning of a sequence that is sorted by its keys.
    pub(super) fn new(sequence: impl IntoIterator<IntoIter = I>) -> Self {
        Self { rest: sequence.into_iter().peekable() }
    }

    /// The value of a key that is not before any key that was asked for; `passed` gets what comes before it.
    pub(super) fn at<Q: Ord + ?Sized>(&mut self, key: &Q, mut passed: impl FnMut(K, V)) -> Option<V>
    where
        K: Borrow<Q>,
    {
        while let Some((next, value)) = self.rest.next_if(|(next, _)| next.borrow() <= key) {
            if next.borrow() == key {
                return Some(value);
            }
            passed(next, value);
        }
        None
    }

    /// What nobody asked for, as long as it satisfies a condition.
    pub(super) fn pass_while(&mut self, so: impl Fn(&K) -> bool, mut passed: impl FnMut(K, V)) {
        while let Some((key, value)) = self.rest.next_if(|(key, _)| so(key)) {
            passed(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Along;

    #[test]
    fn what_is_passed_by_is_told() {
        let mut passed = Vec::new();
        let mut along =
            Along::new([("a".to_owned(), 1), ("b".to_owned(), 2), ("d".to_owned(), 4), ("e".to_owned(), 5), ("f".to_owned(), 6)]);
        assert_eq!(along.at("b", |key, _| passed.push(key)), Some(2));
        assert_eq!(along.at("c", |key, _| passed.push(key)), None);
        assert_eq!(along.at("e", |key, _| passed.push(key)), Some(5));
        along.pass_while(|key| key.as_str() < "x", |key, _| passed.push(key));
        assert_eq!(passed, ["a", "d", "f"]);
        assert_eq!(along.at("z", |key, _| passed.push(key)), None);
    }
}
