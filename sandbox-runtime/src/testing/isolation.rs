//! [`Isolation`]: what stands for the sites and breakers of the program in one scope.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::pool;
use crate::breaker::{Admission, CircuitBreaker};
use crate::failure::Refusal;
use crate::limits::Limits;
use crate::overrides::InForce;
use crate::registry::site_of_breaker;
use crate::site::SiteRef;

/// What stands for the site and the breaker of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StandIn {
    pub(crate) site: Option<SiteRef>,
    pub(crate) breaker: &'static CircuitBreaker,
}

/// What calls ask of a breaker, once for all tools: few calls have a stand-in.
impl StandIn {
    #[cold]
    pub(crate) fn request(&self, limit: Duration) -> Result<Admission, Refusal> {
        self.breaker.request(limit)
    }

    #[cold]
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.breaker.refusal()
    }
}

/// What stands for what in one scope. Calls under way keep it, and with it what they began with.
#[derive(Debug)]
pub(crate) struct Isolation {
    fresh: Mutex<Fresh>,
    overrides: InForce,
}

#[derive(Debug, Default)]
struct Fresh {
    /// By the address of the site that each stands for.
    sites: BTreeMap<usize, SiteRef>,
    breakers: Vec<FreshBreaker>,
}

#[derive(Debug)]
struct FreshBreaker {
    /// The limits of the breaker that it stands for, by which that one is known: as long as somebody has them, nothing else is at
    /// their address, while a breaker that was made by hand may be gone.
    of: Arc<Limits>,
    breaker: &'static CircuitBreaker,
}

impl Default for Isolation {
    fn default() -> Self {
        Isolation {
            fresh: Mutex::default(),
            overrides: InForce::nothing(),
        }
    }
}

impl Isolation {
    /// What stands for the site and the breaker of a call.
    pub(crate) fn stand_in(&self, site: Option<SiteRef>, breaker: &CircuitBreaker) -> StandIn {
        let own = site.filter(|site| ptr::eq(&site.0.breaker, breaker));
        let site = site.map(|site| self.site(site));
        StandIn {
            site,
            breaker: match own.and(site) {
                Some(site) => &site.0.breaker,
                None => self.breaker(breaker),
            },
        }
    }

    /// What stands for a site.
    pub(crate) fn site(&self, site: SiteRef) -> SiteRef {
        self.locked().site(site)
    }

    /// What stands for a breaker that was made by hand, or for that of a site; a breaker that stands for another already, itself.
    pub(crate) fn breaker(&self, breaker: &CircuitBreaker) -> &'static CircuitBreaker {
        let mut fresh = self.locked();
        if let Some(known) = fresh.all_breakers().find(|own| ptr::eq(*own, breaker)) {
            return known;
        }
        match site_of_breaker(breaker) {
            Some(site) => &fresh.site(site).0.breaker,
            None => fresh.breaker(breaker),
        }
    }

    /// The overrides of the scope.
    pub(crate) fn overrides(&self) -> &InForce {
        &self.overrides
    }

    fn locked(&self) -> MutexGuard<'_, Fresh> {
        // Nothing panics while it is locked.
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fresh {
    fn site(&mut self, site: SiteRef) -> SiteRef {
        let fresh = self.sites.entry(pool::key(site));
        *fresh.or_insert_with(|| pool::take_site(site))
    }

    fn breaker(&mut self, breaker: &CircuitBreaker) -> &'static CircuitBreaker {
        let of = breaker.limits();
        if let Some(known) = self.breakers.iter().find(|fresh| Arc::ptr_eq(&fresh.of, of)) {
            return known.breaker;
        }
        let fresh = pool::take_breaker(breaker);
        self.breakers.push(FreshBreaker {
            of: Arc::clone(of),
            breaker: fresh,
        });
        fresh
    }

    fn all_breakers(&self) -> impl Iterator<Item = &'static CircuitBreaker> {
        let of_sites = self.sites.values().map(|site| &site.0.breaker);
        of_sites.chain(self.breakers.iter().map(|fresh| fresh.breaker))
    }
}

impl Drop for Isolation {
    fn drop(&mut self) {
        let Fresh { sites, breakers } = std::mem::take(&mut *self.locked());
        pool::put_back(sites, breakers.into_iter().map(|fresh| fresh.breaker));
    }
}
