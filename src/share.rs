//! Work shared between threads: pure functions of items, with results in the order of the items, so that nobody sees how many
//! threads there were.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
    let chunks: Vec<&[T]> = items.chunks(items.len().div_ceil(THREADS)).collect();
    each(&chunks, |chunk| chunk.iter().map(&work).collect::<Vec<R>>()).into_iter().flatten().collect()
}

/// The result for each of a few items that are a lot of work each, in order; there are as many threads as processors.
///
/// # Panics
/// If the work panics.
pub fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut out = Vec::with_capacity(items.len());
    let Ok(()) = in_order(items, items.len(), work, |result| {
        out.push(result);
        Ok::<(), Infallible>(())
    });
    out
}

/// The same, where each result is taken on this thread as soon as it is its turn, and no more than so many wait for that.
///
/// # Errors
/// The first that `take` gives; nothing more is worked on then.
///
/// # Panics
/// If the work panics.
pub fn in_order<T: Sync, R: Send, E>(
    items: &[T],
    ahead: usize,
    work: impl Fn(&T) -> R + Sync,
    take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    if threads < 2 {
        return items.iter().map(work).try_for_each(take);
    }
    let line = Line { state: Mutex::new(State { begun: 0, taken: 0, made: BTreeMap::new(), over: false }), turn: Condvar::new() };
    std::thread::scope(|scope| {
        let worker = || {
            let _end = End { line: &line, of_all: false };
            while let Some(number) = line.next(items.len(), ahead.max(1)) {
                let result = work(&items[number]);
                line.state().made.insert(number, result);
                line.turn.notify_all();
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let end = End { line: &line, of_all: true };
        let taken = std::iter::from_fn(|| line.take(items.len())).try_for_each(take);
        drop(end);
        for worker in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        taken
    })
}

/// Results on their way from those who work to the one who takes them.
struct Line<R> {
    state: Mutex<State<R>>,
    turn: Condvar,
}

struct State<R> {
    begun: usize,
    taken: usize,
    made: BTreeMap<usize, R>,
    /// Somebody is not coming back.
    over: bool,
}

impl<R> Line<R> {
    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next item to work on.
    fn next(&self, items: usize, ahead: usize) -> Option<usize> {
        let full = |state: &mut State<R>| !state.over && state.begun < items && state.begun - state.taken >= ahead;
        let mut state = self.turn.wait_while(self.state(), full).unwrap_or_else(PoisonError::into_inner);
        let next = state.begun;
        (!state.over && next < items).then(|| {
            state.begun += 1;
            next
        })
    }

    /// The next result.
    fn take(&self, items: usize) -> Option<R> {
        let missing = |state: &mut State<R>| !state.over && state.taken < items && !state.made.contains_key(&state.taken);
        let mut state = self.turn.wait_while(self.state(), missing).unwrap_or_else(PoisonError::into_inner);
        let next = state.taken;
        let result = state.made.remove(&next)?;
        state.taken += 1;
        self.turn.notify_all();
        Some(result)
    }
}

/// At the end of a thread, ends the work of all if it was the one that takes, or panicked.
struct End<'a, R> {
    line: &'a Line<R>,
    of_all: bool,
}

impl<R> Drop for End<'_, R> {
    fn drop(&mut self) {
        if self.of_all || std::thread::panicking() {
            self.line.state().over = true;
            self.line.turn.notify_all();
        }
    }
}

/// Drops something large while the caller goes on.
pub fn drop_later<T: Send + 'static>(value: T) {
    std::thread::spawn(move || drop(value));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn order_does_not_depend_on_threads() {
        let items: Vec<usize> = (0..1_001).collect();
        assert_eq!(super::map(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(super::map(&items[..3], |n| n * 2), [0, 2, 4]);
        assert_eq!(super::each(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(super::each(&items[..0], |n| n * 2), [0; 0]);
    }

    #[test]
    fn no_more_are_begun_than_may_wait() {
        let items: Vec<usize> = (0..200).collect();
        for ahead in [0, 1, 2, 7] {
            let (begun, mut taken) = (AtomicUsize::new(0), 0);
            let work = |n: &usize| (*n, begun.fetch_add(1, Ordering::SeqCst) + 1);
            let done = super::in_order(&items, ahead, work, |(n, begun)| {
                assert_eq!(n, taken);
                assert!(begun <= taken + ahead.max(1), "{begun} were begun when {taken} were taken");
                taken += 1;
                Ok::<(), ()>(())
            });
            assert_eq!((done, taken), (Ok(()), 200));
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let items: Vec<usize> = (0..200).collect();
        let begun = AtomicUsize::new(0);
        let work = |n: &usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            *n
        };
        assert_eq!(super::in_order(&items, 4, work, |n| if n == 9 { Err(n) } else { Ok(()) }), Err(9));
        assert!(begun.into_inner() <= 14);
    }

    #[test]
    #[should_panic(expected = "it is the fiftieth")]
    fn a_panic_is_passed_on_and_nobody_waits() {
        let items: Vec<usize> = (0..200).collect();
        super::each(&items, |n| assert_ne!(*n, 50, "it is the fiftieth"));
    }
}
