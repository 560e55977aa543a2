//! Work shared between threads: pure functions of items, with results in the order of the items, so that nobody sees how many
//! threads there were.

/// How many threads share the work; more would only wait for each other on the machines that this is for.
const THREADS: usize = 2;
/// Fewer items than this are not worth a thread.
const WORTH_A_THREAD: usize = 64;

/// The result for each item, in order.
///
/// # Panics
/// If the work panics.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.len() < WORTH_A_THREAD {
        return items.iter().map(work).collect();
    }
    let size = items.len().div_ceil(THREADS);
    std::thread::scope(|scope| {
        let handles: Vec<_> =
            items.chunks(size).map(|chunk| scope.spawn(|| chunk.iter().map(&work).collect::<Vec<_>>())).collect();
        let join = |handle: std::thread::ScopedJoinHandle<'_, Vec<R>>| match handle.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        handles.into_iter().flat_map(join).collect()
    })
}

/// Drops something large while the caller goes on.
pub fn drop_later<T: Send + 'static>(value: T) {
    std::thread::spawn(move || drop(value));
}

#[cfg(test)]
mod tests {
    #[test]
    fn order_does_not_depend_on_threads() {
        let items: Vec<usize> = (0..1_001).collect();
        assert_eq!(super::map(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(super::map(&items[..3], |n| n * 2), [0, 2, 4]);
    }
}
