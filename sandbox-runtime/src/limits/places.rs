//! [`Places`]: how many calls are made at a time.

#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::sync::{Lock, Word};

/// Places for calls, in a number that may change while calls are made.
///
/// While nobody waits, a place is taken and left by one exchange of the word. Who waits is given a place by whoever leaves one, in
/// the order in which they came: the place remains taken, and passes through the queue as a permit. The queue is fair, and one who
/// leaves it passes its permit on.
#[derive(Debug)]
pub(super) struct Places<W = AtomicU64, Q = Semaphore, L = Mutex<()>> {
    /// [`Taken`] as bits.
    word: W,
    queue: Q,
    /// Held while permits come and go: what the word says of those who wait is true of the queue as well.
    passing: L,
}

/// What the word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    /// How many places there are.
    number: u64,
    /// How many of them are taken. More than there are, if there were more before.
    taken: u64,
    /// How many wait to whom no place has been given.
    waiting: u64,
}

impl Taken {
    /// As many as can be told from each other.
    const MOST: u64 = (1 << 21) - 1;

    const fn of(bits: u64) -> Taken {
        Taken {
            number: bits >> 42 & Self::MOST,
            taken: bits >> 21 & Self::MOST,
            waiting: bits & Self::MOST,
        }
    }

    const fn bits(self) -> u64 {
        self.number << 42 | self.taken << 21 | self.waiting
    }

    const fn is_free(self) -> bool {
        self.taken < self.number
    }

    /// A place is taken, by somebody for whom one is free.
    const fn one_more(self) -> Taken {
        let taken = self.taken + 1;
        Taken { taken, ..self }
    }

    const fn one_less(self) -> Taken {
        let taken = self.taken.saturating_sub(1);
        Taken { taken, ..self }
    }

    const fn one_waits(self) -> Taken {
        let waiting = self.waiting + 1;
        Taken { waiting, ..self }
    }

    const fn one_has_waited(self) -> Taken {
        let waiting = self.waiting.saturating_sub(1);
        Taken { waiting, ..self }
    }
}

/// What passes places to those who wait, in the order in which they came.
pub(super) trait Queue {
    /// Adds a permit: for the one who has waited longest, or the next one who comes.
    fn add(&self);
    /// Takes back a permit that nobody has; `false` if there is none.
    fn take_back(&self) -> bool;
}

impl Queue for Semaphore {
    fn add(&self) {
        self.add_permits(1);
    }

    fn take_back(&self) -> bool {
        self.forget_permits(1) == 1
    }
}

impl Places {
    pub(super) const fn new() -> Places {
        Places {
            word: AtomicU64::new(0),
            queue: Semaphore::const_new(0),
            passing: Mutex::new(()),
        }
    }

    /// Waits for a place. Dropped, it leaves the queue. `None` if so many wait that they cannot be counted.
    pub(super) async fn take(&self) -> Option<Place<'_>> {
        let waiting = Waiting::of(self)?;
        // It is never closed.
        if let Ok(permit) = self.queue.acquire().await {
            permit.forget();
        }
        Some(waiting.place())
    }
}

impl<W: Word, Q: Queue, L: Lock<()>> Places<W, Q, L> {
    /// Changes how many there are. Calls beyond a smaller number are not interrupted: as they end, nobody follows.
    pub(super) fn resize(&self, number: u32) {
        let number = u64::from(number).min(Taken::MOST);
        if Taken::of(self.word.load(Ordering::SeqCst)).number == number {
            return;
        }
        self.passing.change(|()| {
            self.update(|now| Some(Taken { number, ..now }));
            self.give_free();
        });
    }

    /// Takes a place if one is free and nobody waits for it.
    pub(super) fn try_take(&self) -> bool {
        self.update(|now| (now.is_free() && now.waiting == 0).then_some(now.one_more()))
    }

    /// Leaves a place.
    pub(super) fn leave(&self) {
        if !self.update(|now| (now.waiting == 0).then_some(now.one_less())) {
            self.leave_to_others();
        }
    }

    #[cold]
    fn leave_to_others(&self) {
        self.passing.change(|()| {
            self.update(|now| Some(now.one_less()));
            self.give_free();
        });
    }

    /// Joins those who wait; `false` if they are too many to be counted.
    fn join(&self) -> bool {
        self.passing.change(|()| {
            let joins = self.update(|now| (now.waiting < Taken::MOST).then_some(now.one_waits()));
            // One may have become free since there was none.
            self.give_free();
            joins
        })
    }

    /// Leaves those who wait, without a place: a permit that this one was given is back in the queue.
    fn quit(&self) {
        self.passing.change(|()| {
            let is_expected = self.update(|now| (now.waiting > 0).then_some(now.one_has_waited()));
            // Otherwise a place is on its way to each who waits, and to this one.
            if !is_expected && self.queue.take_back() {
                self.update(|now| Some(now.one_less()));
            }
        });
    }

    /// Gives places that are free to those who wait.
    fn give_free(&self) {
        let is_awaited = |now: Taken| now.is_free() && now.waiting > 0;
        while self.update(|now| is_awaited(now).then_some(now.one_more().one_has_waited())) {
            self.queue.add();
        }
    }

    /// Changes the word, unless there is nothing next.
    #[inline]
    fn update(&self, next: impl Fn(Taken) -> Option<Taken>) -> bool {
        let mut bits = self.word.load(Ordering::SeqCst);
        while let Some(next) = next(Taken::of(bits)) {
            match self.word.compare_exchange(bits, next.bits()) {
                Ok(_) => return true,
                Err(other) => bits = other,
            }
        }
        false
    }
}

/// One who waits for a place.
struct Waiting<'a>(Option<&'a Places>);

impl<'a> Waiting<'a> {
    fn of(places: &'a Places) -> Option<Self> {
        places.join().then_some(Waiting(Some(places)))
    }

    /// The place for which it has taken a permit.
    fn place(mut self) -> Place<'a> {
        Place(self.0.take())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(places) = self.0 {
            places.quit();
        }
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
