//! [`Followed`]: the breakers that take part, each with what this replica remembers of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use sandbox_runtime::{BreakerState, CircuitBreaker, ToolHandle, fleet};

use crate::keys::{Map, key_of, path_of_key};
use crate::tools::tools;
use crate::view::View;
use crate::watched::{Millis, Watched};

/// Every tool that has a breaker of its own; and of each map the keys that are open, here or for all, until they are closed.
#[derive(Default)]
pub(crate) struct Followed {
    all: BTreeMap<String, Member>,
    maps: Vec<Box<dyn Map>>,
    /// The key that is next, where a turn was too short for all.
    next_key: Option<String>,
}

/// A breaker that takes part.
pub(crate) struct Member {
    pub(crate) breaker: Breaker,
    pub(crate) watched: Watched,
}

/// Whose breaker it is.
#[derive(Clone)]
pub(crate) enum Breaker {
    Tool(ToolHandle, &'static CircuitBreaker),
    /// Held, so that it keeps its place in the map, of which so many keys take part at most.
    Key(Arc<CircuitBreaker>, u32),
}

impl Followed {
    pub(crate) fn of(maps: Vec<Box<dyn Map>>) -> Followed {
        Followed {
            maps,
            ..Followed::default()
        }
    }

    /// Takes up what takes part by now, and lets go of keys that are closed again.
    pub(crate) fn meet(&mut self, view: &View) {
        self.all.retain(|_, member| !member.is_done());
        for (path, tool) in tools() {
            if let Some(breaker) = tool.breaker() {
                let new = || Member::of(Breaker::Tool(tool, breaker));
                self.all.entry(path).or_insert_with(new);
            }
        }
        for map in &self.maps {
            for key in keys_of(&**map, &self.all, view) {
                let path = path_of_key(map.name(), &key);
                match map.breaker(&key) {
                    Some(breaker) => follow_key(&mut self.all, path, breaker, map.most()),
                    // It has no place any more, so that nobody would be refused by it.
                    None => drop(self.all.remove(&path)),
                }
            }
        }
    }

    /// The paths in the order of their turns: tools, then keys from the one on that is next.
    pub(crate) fn in_turn(&mut self) -> Vec<String> {
        let (mut keys, mut paths) = (Vec::new(), Vec::new());
        for (path, member) in &self.all {
            match member.breaker {
                Breaker::Tool(..) => paths.push(path.clone()),
                Breaker::Key(..) => keys.push(path.clone()),
            }
        }
        if let Some(next) = self.next_key.take() {
            let before = keys.partition_point(|key| *key < next);
            keys.rotate_left(before);
        }
        paths.extend(keys);
        paths
    }

    /// Has the next turn of keys begin with this one.
    pub(crate) fn goes_on_with(&mut self, key: String) {
        self.next_key = Some(key);
    }

    pub(crate) fn breaker(&self, path: &str) -> Option<Breaker> {
        self.all.get(path).map(|member| member.breaker.clone())
    }

    pub(crate) fn watched(&mut self, path: &str) -> Option<&mut Watched> {
        self.all.get_mut(path).map(|member| &mut member.watched)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.all.iter().map(|(path, member)| (path.as_str(), member))
    }

    pub(crate) fn members(&mut self) -> impl Iterator<Item = &mut Member> {
        self.all.values_mut()
    }

    /// The soonest end of a lease that this replica has.
    pub(crate) fn next_end_of_lease(&self, now: Millis) -> Option<Millis> {
        let leases = self.all.values().filter_map(|member| member.watched.lease());
        leases.filter(|lease| *lease > now).min()
    }

    /// Tells of which map a path has a key.
    pub(crate) fn key<'a>(&self, path: &'a str) -> Option<(&'static str, &'a str)> {
        let mut names = self.maps.iter().map(|map| map.name());
        names.find_map(|name| Some((name, key_of(name, path)?)))
    }
}

/// The keys of a map that take part: those that are open for all, and as many others that are open here as may.
fn keys_of(map: &dyn Map, all: &BTreeMap<String, Member>, view: &View) -> BTreeSet<String> {
    let key = |path| key_of(map.name(), path).map(str::to_owned);
    let mut open_for_all: BTreeSet<String> = view.open().filter_map(key).collect();
    let followed = all.keys().filter_map(|path| key(path));
    let mut own: BTreeSet<String> = followed.filter(|key| !open_for_all.contains(key)).collect();
    // The map is not looked through where there are enough.
    let mut open = map.open().filter(|key| !open_for_all.contains(key));
    while own.len() < map.most() as usize
        && let Some(key) = open.next()
    {
        own.insert(key);
    }
    drop(open);
    open_for_all.append(&mut own);
    open_for_all
}

fn follow_key(all: &mut BTreeMap<String, Member>, path: String, breaker: Arc<CircuitBreaker>, most: u32) {
    // Another one in its place, because somebody has removed the key, has nothing of what is remembered.
    let is_same = |member: &Member| std::ptr::eq(&*member.breaker, &*breaker);
    if !all.get(&path).is_some_and(is_same) {
        all.insert(path, Member::of(Breaker::Key(breaker, most)));
    }
}

impl Member {
    fn of(breaker: Breaker) -> Member {
        Member {
            breaker,
            watched: Watched::default(),
        }
    }

    /// Tells whether nothing would be lost if it were forgotten: a tool never is, and a key can be found again when it opens.
    fn is_done(&self) -> bool {
        let is_open = matches!(self.breaker.state(), BreakerState::Open { .. } | BreakerState::HalfOpen);
        matches!(self.breaker, Breaker::Key(..)) && !is_open && self.watched.is_at_rest()
    }
}

impl Deref for Breaker {
    type Target = CircuitBreaker;

    fn deref(&self) -> &CircuitBreaker {
        match self {
            Breaker::Tool(_, breaker) => breaker,
            Breaker::Key(breaker, _) => breaker,
        }
    }
}

impl Breaker {
    /// How long an attempt takes at most. The tools that have the breaker of a key are known by their calls alone.
    pub(crate) fn longest_attempt(&self) -> Duration {
        match self {
            Breaker::Tool(tool, _) => fleet::time_limit(*tool),
            Breaker::Key(breaker, _) => fleet::longest_attempt(breaker),
        }
    }

    /// How many take part at most of those of which it is one; `None` if nothing bounds them.
    pub(crate) const fn most(&self) -> Option<u32> {
        match self {
            Breaker::Tool(..) => None,
            Breaker::Key(_, most) => Some(*most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Shared;

    /// A map whose keys are all open.
    struct AllOpen(Vec<(&'static str, Arc<CircuitBreaker>)>, u32);

    impl AllOpen {
        fn of(keys: &[&'static str], most: u32) -> Box<dyn Map> {
            let open = |key: &&'static str| {
                let breaker = CircuitBreaker::new(1);
                breaker.record_failure();
                (*key, Arc::new(breaker))
            };
            Box::new(AllOpen(keys.iter().map(open).collect(), most))
        }
    }

    impl Map for AllOpen {
        fn name(&self) -> &'static str {
            "hosts"
        }

        fn most(&self) -> u32 {
            self.1
        }

        fn open(&self) -> Box<dyn Iterator<Item = String> + '_> {
            Box::new(self.0.iter().map(|(key, _)| (*key).to_owned()))
        }

        fn breaker(&self, key: &str) -> Option<Arc<CircuitBreaker>> {
            let found = self.0.iter().find(|(known, _)| *known == key)?;
            Some(Arc::clone(&found.1))
        }
    }

    #[test]
    fn keys_take_turns_where_a_turn_is_too_short() {
        let mut followed = Followed::of(vec![AllOpen::of(&["a", "b", "c"], 9)]);
        followed.meet(&View::default());
        assert_eq!(followed.in_turn(), ["hosts[a]", "hosts[b]", "hosts[c]"]);
        followed.goes_on_with("hosts[b]".to_owned());
        assert_eq!(followed.in_turn(), ["hosts[b]", "hosts[c]", "hosts[a]"]);
        assert_eq!(followed.in_turn(), ["hosts[a]", "hosts[b]", "hosts[c]"], "once");
        followed.goes_on_with("hosts[bb]".to_owned());
        assert_eq!(
            followed.in_turn(),
            ["hosts[c]", "hosts[a]", "hosts[b]"],
            "from the next one, if it takes part no more"
        );
    }

    #[test]
    fn as_many_keys_of_its_own_as_may_beside_those_that_are_open_for_all() {
        let mut followed = Followed::of(vec![AllOpen::of(&["a", "b", "c", "d"], 2)]);
        let mut view = View::default();
        let open = Shared {
            epoch: 1,
            open_until: Some(1),
        };
        view.hear_of("hosts[a]", open);
        view.hear_of("hosts[x]", open);
        view.hear_of("hosts[c]", Shared::default());
        for _ in 0..2 {
            followed.meet(&view);
            assert_eq!(followed.in_turn(), ["hosts[a]", "hosts[b]", "hosts[c]"]);
        }
    }
}
