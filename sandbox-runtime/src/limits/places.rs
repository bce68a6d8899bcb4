//! [`Places`]: how many calls are made at a time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

/// What places are handed out by.
pub(super) trait Permits {
    fn new() -> Self;
    /// Adds so many.
    fn add(&self, permits: u32);
    /// Takes back up to so many that are free, and tells how many.
    fn remove(&self, permits: u32) -> u32;
    /// Takes one if one is free and nobody waits for it. Whoever has it gives it back by [`add`](Self::add).
    fn try_take(&self) -> bool;
}

/// Fair: permits go to those who wait, in the order in which they came.
impl Permits for Semaphore {
    fn new() -> Self {
        Semaphore::new(0)
    }

    fn add(&self, permits: u32) {
        self.add_permits(permits as usize);
    }

    fn remove(&self, permits: u32) -> u32 {
        // Cannot be more than were asked for.
        self.forget_permits(permits as usize).try_into().unwrap_or(permits)
    }

    fn try_take(&self) -> bool {
        self.try_acquire().map(tokio::sync::SemaphorePermit::forget).is_ok()
    }
}

/// What the number of places is kept in.
pub(super) trait Lock {
    fn new(size: Size) -> Self;
    fn change(&self, change: impl FnOnce(&mut Size));
}

impl Lock for Mutex<Size> {
    fn new(size: Size) -> Self {
        Mutex::new(size)
    }

    fn change(&self, change: impl FnOnce(&mut Size)) {
        // Nothing panics while it is locked.
        change(&mut self.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Places for calls, in a number that may change while calls are made. A model checker brings its own types.
#[derive(Debug)]
pub(super) struct Places<P = Semaphore, L = Mutex<Size>> {
    free: P,
    /// The same as in `size`, for a look without the lock.
    number: AtomicU32,
    size: L,
}

#[derive(Debug)]
pub(super) struct Size {
    number: u32,
    /// Places that are gone and still taken: whoever leaves one gives it back to nobody.
    owed: u32,
}

impl<P: Permits, L: Lock> Places<P, L> {
    pub(super) fn new() -> Self {
        Places {
            free: P::new(),
            number: AtomicU32::new(0),
            size: L::new(Size { number: 0, owed: 0 }),
        }
    }

    /// Changes how many there are. Calls beyond a smaller number are not interrupted: as they end, nobody follows.
    pub(super) fn resize(&self, number: u32) {
        // Relaxed: a caller that sees another's number only takes the lock, or is admitted by the number before.
        if self.number.load(Ordering::Relaxed) == number {
            return;
        }
        self.size.change(|size| {
            let more = number.saturating_sub(size.number);
            let paid = more.min(size.owed);
            self.free.add(more - paid);
            let fewer = size.number.saturating_sub(number);
            size.owed = size.owed - paid + (fewer - self.free.remove(fewer));
            size.number = number;
            self.number.store(number, Ordering::Relaxed);
        });
    }

    /// Takes a place if one is free and nobody waits for it.
    pub(super) fn try_take(&self) -> bool {
        self.free.try_take()
    }

    /// Leaves a place.
    pub(super) fn leave(&self) {
        self.size.change(|size| match size.owed {
            0 => self.free.add(1),
            _ => size.owed -= 1,
        });
    }
}

impl Places {
    /// Waits for a place. Dropped, it leaves the queue.
    pub(super) async fn take(&self) -> Place<'_> {
        // It is never closed.
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
        }
        Place(Some(self))
    }
}

/// A place for a call that still waits for something else; left when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'a>(Option<&'a Places>);

impl Place<'_> {
    /// Takes it over: whoever does leaves it.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(places) = self.0 {
            places.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use loom::sync::atomic::AtomicU32 as LoomU32;
    use loom::thread;

    use super::*;

    /// Permits for a model checker, without a queue.
    #[derive(Debug)]
    struct Free(LoomU32);

    impl Permits for Free {
        fn new() -> Self {
            Free(LoomU32::new(0))
        }

        fn add(&self, permits: u32) {
            self.0.fetch_add(permits, Ordering::SeqCst);
        }

        fn remove(&self, permits: u32) -> u32 {
            (0..permits).filter(|_| self.try_take()).count().try_into().unwrap()
        }

        fn try_take(&self) -> bool {
            // Those who add hold the lock, and those who take lose nothing by looking once.
            let free = self.0.load(Ordering::SeqCst);
            let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
            free > 0 && self.0.compare_exchange(free, free - 1, set, fetch).is_ok()
        }
    }

    impl Lock for loom::sync::Mutex<Size> {
        fn new(size: Size) -> Self {
            loom::sync::Mutex::new(size)
        }

        fn change(&self, change: impl FnOnce(&mut Size)) {
            change(&mut self.lock().unwrap());
        }
    }

    /// While one of two places is taken, and a thread comes and goes, another one takes a place away: no more calls run than there
    /// are places, and none is lost or made.
    #[test]
    fn never_more_than_there_are() {
        loom::model(|| {
            let places = loom::sync::Arc::new(Places::<Free, loom::sync::Mutex<Size>>::new());
            places.resize(2);
            assert!(places.try_take());
            let other = {
                let places = places.clone();
                thread::spawn(move || {
                    if places.try_take() {
                        places.leave();
                    }
                })
            };
            places.resize(1);
            other.join().unwrap();
            assert!(!places.try_take(), "the only place is taken");
            places.leave();
            assert!(places.try_take(), "it is free again");
            places.resize(2);
            assert!(places.try_take(), "the other one is back");
            assert!(!places.try_take(), "there are two");
        });
    }

    #[test]
    fn those_that_are_taken_are_given_up_when_they_are_left() {
        let places = Places::<Semaphore, Mutex<Size>>::new();
        places.resize(3);
        assert!((0..3).all(|_| places.try_take()));
        places.resize(1);
        (0..2).for_each(|_| places.leave());
        assert!(!places.try_take(), "one of one is taken");
        places.resize(2);
        assert!(places.try_take(), "one of two is taken");
        (0..2).for_each(|_| places.leave());
        places.resize(u32::MAX);
        assert!((0..9).all(|_| places.try_take()));
    }
}
