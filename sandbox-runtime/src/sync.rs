//! [`Word`], [`Flags`] and [`Lock`]: what threads share, in a form for which a model checker brings its own types.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A number of 64 bits.
pub(crate) trait Word {
    fn load(&self, ordering: Ordering) -> u64;
    fn compare_exchange(&self, current: u64, new: u64) -> Result<u64, u64>;
}

/// Bits, each of which tells something by itself. All accesses are relaxed: they order nothing.
pub(crate) trait Flags {
    fn all(&self) -> u32;
    fn put(&self, all: u32);
    fn set(&self, some: u32);
    fn clear(&self, some: u32);
}

/// A value that one thread at a time changes.
pub(crate) trait Lock<T> {
    fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R;
}

/// The same for the atomics of the standard library and for those of a model checker.
macro_rules! implement_by {
    ($word:ty, $flags:ty) => {
        impl Word for $word {
            #[inline]
            fn load(&self, ordering: Ordering) -> u64 {
                self.load(ordering)
            }
            #[inline]
            fn compare_exchange(&self, current: u64, new: u64) -> Result<u64, u64> {
                self.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
            }
        }

        impl Flags for $flags {
            #[inline]
            fn all(&self) -> u32 {
                self.load(Ordering::Relaxed)
            }
            fn put(&self, all: u32) {
                self.store(all, Ordering::Relaxed);
            }
            fn set(&self, some: u32) {
                self.fetch_or(some, Ordering::Relaxed);
            }
            fn clear(&self, some: u32) {
                self.fetch_and(!some, Ordering::Relaxed);
            }
        }
    };
}

implement_by!(AtomicU64, AtomicU32);

impl<T> Lock<T> for Mutex<T> {
    fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // Nothing that panics runs while one of these is locked.
        change(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod modelled {
    use std::sync::atomic::Ordering;

    use super::{Flags, Lock, Word};

    implement_by!(loom::sync::atomic::AtomicU64, loom::sync::atomic::AtomicU32);

    impl<T> Lock<T> for loom::sync::Mutex<T> {
        fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
            change(&mut self.lock().unwrap())
        }
    }
}
