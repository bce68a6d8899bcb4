//! The sites and breakers that have stood for others, for the next scopes: calls refer to them without counting, so that they live
//! as long as the program.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::breaker::CircuitBreaker;
use crate::site::SiteRef;

/// Grows with the number of scopes that are there at the same time, not with all that have been.
struct Pool {
    /// Every site that was made.
    made: Vec<SiteRef>,
    /// Those that stand for nothing now, by the site that they are made like.
    free_sites: BTreeMap<usize, Vec<SiteRef>>,
    free_breakers: Vec<&'static CircuitBreaker>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    made: Vec::new(),
    free_sites: BTreeMap::new(),
    free_breakers: Vec::new(),
});

fn locked() -> MutexGuard<'static, Pool> {
    // Nothing panics while it is locked.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells a site from all others.
pub(super) fn key(site: SiteRef) -> usize {
    ptr::from_ref(site.0).addr()
}

/// Every site that stands for another, or has.
pub(crate) fn stand_ins() -> Vec<SiteRef> {
    locked().made.clone()
}

/// A site to stand for this one.
pub(super) fn take_site(site: SiteRef) -> SiteRef {
    let mut pool = locked();
    let free = pool.free_sites.get_mut(&key(site)).and_then(Vec::pop);
    free.unwrap_or_else(|| {
        let made = SiteRef(Box::leak(Box::new(site.0.another())));
        pool.made.push(made);
        made
    })
}

/// A breaker to stand for this one.
pub(super) fn take_breaker(breaker: &CircuitBreaker) -> &'static CircuitBreaker {
    let free = &mut locked().free_breakers;
    match free.iter().position(|other| other.is_set_like(breaker)) {
        Some(place) => free.swap_remove(place),
        None => Box::leak(Box::new(breaker.another())),
    }
}

/// Takes back what has stood for others, when no call refers to it any more: the sites by the key of the one that each has stood for.
pub(super) fn put_back(sites: BTreeMap<usize, SiteRef>, breakers: impl Iterator<Item = &'static CircuitBreaker>) {
    // Before another scope can have it.
    sites.values().for_each(|site| site.0.forget());
    let breakers = breakers.inspect(|breaker| breaker.forget()).collect::<Vec<_>>();
    let mut pool = locked();
    for (key, site) in sites {
        pool.free_sites.entry(key).or_default().push(site);
    }
    pool.free_breakers.extend(breakers);
}
