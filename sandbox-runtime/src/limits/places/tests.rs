//! Places under all schedules of two and three threads, and in the order of arrival.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicU32, AtomicU64 as LoomWord};
use loom::sync::{Arc, Mutex as LoomMutex};
use loom::thread;

use super::*;

/// Permits for a model checker, without an order.
#[derive(Debug)]
struct Permits(AtomicU32);

impl Permits {
    fn take(&self) -> bool {
        let less = |permits: u32| permits.checked_sub(1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}

impl Queue for Permits {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn take_back(&self) -> bool {
        self.take()
    }
}

type Modelled = Places<LoomWord, Permits, LoomMutex<()>>;

fn places(number: u32) -> Arc<Modelled> {
    let places = Places {
        word: LoomWord::new(0),
        queue: Permits(AtomicU32::new(0)),
        passing: LoomMutex::new(()),
    };
    places.resize(number);
    Arc::new(places)
}

impl Modelled {
    /// Waits for as long as it takes to look once, as a call whose time is over.
    fn wait_shortly(&self) -> bool {
        self.join() && {
            let has_place = self.queue.take();
            if !has_place {
                self.quit();
            }
            has_place
        }
    }

    fn assert_unused(&self, number: u64) {
        let now = Taken::of(self.word.load(Ordering::SeqCst));
        let unused = Taken {
            number,
            taken: 0,
            waiting: 0,
        };
        assert_eq!(now, unused, "every place is free and nobody waits");
        assert!(!self.queue.take(), "nothing is left in the queue");
    }
}

/// While one of two places is taken, and a thread comes and goes, another one takes a place away: no more calls run than there
/// are places, and none is lost or made.
#[test]
fn never_more_than_there_are() {
    loom::model(|| {
        let places = places(2);
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

/// One place, two threads that wait for it and perhaps give up, and a third that leaves it: it is never taken twice, and never
/// lost, whoever gives up just as it is given to them.
#[test]
fn a_place_that_is_waited_for_is_not_lost() {
    // Without a bound it takes minutes. Most errors need no more than two preemptions.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let (places, running) = (places(1), Arc::new(AtomicU32::new(1)));
        assert!(places.try_take());
        let waiters = [(); 2].map(|()| {
            let (places, running) = (places.clone(), running.clone());
            thread::spawn(move || {
                if places.wait_shortly() {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two run in one place");
                    running.fetch_sub(1, Ordering::SeqCst);
                    places.leave();
                }
            })
        });
        running.fetch_sub(1, Ordering::SeqCst);
        places.leave();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        places.assert_unused(1);
    });
}

/// The only place is left while one waits for it: it is not there for a third.
#[test]
fn nobody_overtakes_one_who_waits() {
    loom::model(|| {
        let places = places(1);
        assert!(places.try_take());
        assert!(places.join());
        let other = {
            let places = places.clone();
            thread::spawn(move || places.try_take())
        };
        places.leave();
        assert!(!other.join().unwrap(), "one who came later has the place");
        assert!(places.queue.take(), "the place is for the one who waits");
        places.leave();
        places.assert_unused(1);
    });
}

/// The only place is left by its call, taken away by an operator, and waited for, all at once.
#[test]
fn a_place_that_is_taken_away_is_given_to_nobody() {
    loom::model(|| {
        let places = places(1);
        assert!(places.try_take());
        let waiter = {
            let places = places.clone();
            thread::spawn(move || {
                if places.wait_shortly() {
                    places.leave();
                }
            })
        };
        let operator = {
            let places = places.clone();
            thread::spawn(move || places.resize(0))
        };
        places.leave();
        waiter.join().unwrap();
        operator.join().unwrap();
        assert!(!places.try_take(), "there is none");
        places.assert_unused(0);
    });
}

#[test]
fn those_that_are_taken_are_given_up_when_they_are_left() {
    let places = Places::new();
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

/// Of three who wait for one place the second gives up, before or after the place is on its way to it: the others have it in the
/// order in which they came.
#[test]
fn places_are_given_in_the_order_of_arrival() {
    for gives_up_late in [false, true] {
        let places = Places::new();
        let mut cx = Context::from_waker(Waker::noop());
        places.resize(1);
        assert!(places.try_take());
        let (mut first, mut third) = (pin!(places.take()), pin!(places.take()));
        let mut second = Box::pin(places.take());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        places.leave();
        assert!(!places.try_take(), "a newcomer does not overtake those who wait");
        assert!(third.as_mut().poll(&mut cx).is_pending(), "it is not its turn");
        let Poll::Ready(Some(place)) = first.as_mut().poll(&mut cx) else {
            panic!("the first who came has the place");
        };
        if gives_up_late {
            drop(place);
            drop(second);
        } else {
            drop(second);
            drop(place);
        }
        let Poll::Ready(Some(place)) = third.as_mut().poll(&mut cx) else {
            panic!("the third has the place, as the second has given up");
        };
        drop(place);
        let place = pin!(places.take()).poll(&mut cx);
        assert!(
            place.is_ready(),
            "it is free once everybody has left, and nobody waits for it"
        );
    }
}

#[test]
fn who_cannot_be_counted_does_not_wait() {
    let places = Places::new();
    let full = Taken {
        number: 0,
        taken: 0,
        waiting: Taken::MOST - 1,
    };
    places.word.store(full.bits(), Ordering::SeqCst);
    assert!(places.join(), "the last one that can be counted");
    assert!(!places.join(), "one more would be counted as a place");
    assert_eq!(Taken::of(places.word.load(Ordering::SeqCst)).waiting, Taken::MOST);
}

#[test]
fn who_gives_up_leaves_nothing_behind() {
    let mut cx = Context::from_waker(Waker::noop());
    for is_given in [false, true] {
        let places = Places::new();
        places.resize(1);
        assert!(places.try_take());
        let mut waiting = Box::pin(places.take());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        if is_given {
            places.leave();
            drop(waiting);
        } else {
            drop(waiting);
            places.leave();
        }
        assert!(places.try_take(), "the place is free");
        let mut next = pin!(places.take());
        assert!(next.as_mut().poll(&mut cx).is_pending(), "there is one");
    }
}
