//! Each rule by itself, by what a replica sees and does.

use super::*;

const WINDOW: Millis = 30_000;

/// A replica, and what it sees.
struct Seen {
    watched: Watched,
    look: Look,
}

impl Seen {
    /// At a moment far from the first one.
    fn closed() -> Seen {
        Seen {
            watched: Watched::default(),
            look: Look {
                local: Local::Closed,
                is_wanted: false,
                shared: Shared::default(),
                now: 1_000_000,
            },
        }
    }

    /// One that has heard that it is open for all, for ten seconds.
    fn held() -> Seen {
        let mut seen = Seen::closed();
        assert_eq!(seen.shared(1, Some(10_000)), Act::OpenFor(10_000 + HELD));
        seen.look.local = Local::Open;
        seen
    }

    /// One that alone may try it, for a second.
    fn trying() -> Seen {
        let mut seen = Seen::held();
        seen.look.is_wanted = true;
        assert_eq!(seen.after(10_000), Act::TakeLease);
        seen.watched.leased(Some(seen.look.now + 1_000));
        assert_eq!(seen.again(), Act::Try);
        seen.look.local = Local::HalfOpen;
        assert_eq!(seen.again(), Act::Nothing);
        seen
    }

    fn again(&mut self) -> Act {
        self.watched.look(self.look, WINDOW)
    }

    fn after(&mut self, millis: Millis) -> Act {
        self.look.now += millis;
        self.again()
    }

    fn is(&mut self, local: Local) -> Act {
        self.look.local = local;
        self.again()
    }

    fn shared(&mut self, epoch: u64, open_for: Option<Millis>) -> Act {
        let open_until = open_for.map(|lasts| self.look.now + lasts);
        self.look.shared = Shared { epoch, open_until };
        self.again()
    }
}

#[test]
fn what_opens_here_is_reported_once_and_again_while_it_counts_no_longer() {
    let mut seen = Seen::closed();
    assert_eq!(seen.again(), Act::Nothing);
    assert_eq!(seen.is(Local::Open), Act::Report);
    assert_eq!(seen.again(), Act::Nothing, "once");
    assert_eq!(seen.after(WINDOW / 2 - 1), Act::Nothing);
    assert_eq!(seen.after(1), Act::Report, "before the report lapses");
    assert_eq!(seen.is(Local::HalfOpen), Act::Nothing, "it is not known yet");
    assert_eq!(seen.is(Local::Closed), Act::Withdraw);
    assert_eq!(seen.again(), Act::Nothing, "once");
    assert_eq!(seen.is(Local::Open), Act::Report, "another trip");
}

#[test]
fn what_the_store_has_not_taken_is_told_again() {
    let mut seen = Seen::closed();
    assert_eq!(seen.is(Local::Open), Act::Report);
    seen.watched.failed(Act::Report);
    assert_eq!(seen.again(), Act::Report);
    assert_eq!(seen.is(Local::Closed), Act::Withdraw);
    seen.watched.failed(Act::Withdraw);
    assert_eq!(seen.again(), Act::Withdraw);
    assert_eq!(seen.again(), Act::Nothing);
}

#[test]
fn what_is_open_for_all_is_held_and_closes_with_all() {
    let mut seen = Seen::held();
    assert_eq!(seen.after(4_000), Act::OpenFor(6_000 + HELD), "renewed");
    assert_eq!(seen.after(6_000), Act::OpenFor(HELD), "nobody wants it tried");
    assert_eq!(
        seen.is(Local::HalfOpen),
        Act::OpenFor(HELD),
        "it does not try it by itself"
    );
    assert_eq!(seen.shared(2, None), Act::Close);
    assert_eq!(seen.is(Local::Closed), Act::Nothing);
}

/// An old copy of the store has come to another state by as many steps.
#[test]
fn an_epoch_that_was_lost_is_not_taken_for_the_one_in_its_place() {
    let mut seen = Seen::held();
    assert_eq!(seen.shared(2, None), Act::Close);
    assert_eq!(seen.is(Local::Closed), Act::Nothing);
    assert_eq!(
        seen.shared(2, Some(5_000)),
        Act::OpenFor(5_000 + HELD),
        "it is open in its place"
    );
    assert_eq!(seen.is(Local::Open), Act::OpenFor(5_000 + HELD));
    assert_eq!(seen.shared(2, None), Act::Close, "it is closed in its place");
}

#[test]
fn what_was_never_open_here_is_not_closed() {
    let mut seen = Seen::closed();
    assert_eq!(seen.shared(2, None), Act::Nothing);
}

#[test]
fn who_is_wanted_asks_for_the_lease_when_it_is_due() {
    let mut seen = Seen::held();
    seen.look.is_wanted = true;
    assert_eq!(seen.after(9_999), Act::OpenFor(1 + HELD));
    assert_eq!(seen.after(1), Act::TakeLease);
    seen.watched.leased(None);
    seen.look.is_wanted = false;
    assert_eq!(seen.again(), Act::OpenFor(HELD), "another one has it");
}

#[test]
fn what_the_holder_finds_is_told() {
    assert_eq!(Seen::trying().is(Local::Closed), Act::Settle { is_well: true });
    assert_eq!(Seen::trying().is(Local::Open), Act::Settle { is_well: false });
    let mut seen = Seen::trying();
    assert_eq!(seen.is(Local::Open), Act::Settle { is_well: false });
    assert_eq!(
        seen.shared(2, Some(20_000)),
        Act::OpenFor(20_000 + HELD),
        "open for all again"
    );
    assert_eq!(seen.again(), Act::OpenFor(20_000 + HELD), "and no lease is left");
}

#[test]
fn a_lease_in_which_nothing_was_found_ends_on_time() {
    let mut seen = Seen::trying();
    let ends = |seen: &mut Seen| seen.watched.ends_lease(seen.look.local, seen.look.now);
    seen.look.now += 999;
    assert_eq!(ends(&mut seen), None);
    seen.look.now += 1;
    assert_eq!(ends(&mut seen), Some(Act::OpenFor(HELD)));
    assert_eq!(seen.watched.lease(), None);
    let mut seen = Seen::trying();
    assert_eq!(seen.after(1_000), Act::OpenFor(HELD), "also at a look");
    let mut seen = Seen::trying();
    seen.look.local = Local::Closed;
    seen.look.now += 1_000;
    assert_eq!(ends(&mut seen), None, "what was found is still to be told");
    assert_eq!(seen.again(), Act::Settle { is_well: true });
}

/// While the store was gone, or by somebody's hand.
#[test]
fn what_has_closed_by_itself_is_told_once_it_is_due() {
    let mut seen = Seen::held();
    assert_eq!(seen.is(Local::Closed), Act::Nothing);
    assert_eq!(seen.after(10_000), Act::TakeLease);
    seen.watched.leased(Some(seen.look.now + 1_000));
    assert_eq!(seen.again(), Act::Settle { is_well: true }, "nothing has to be tried");
}

#[test]
fn what_the_store_has_lost_is_found_out_again() {
    let mut seen = Seen::held();
    assert_eq!(
        seen.shared(0, None),
        Act::Nothing,
        "it is open here until it closes by itself"
    );
    assert_eq!(seen.again(), Act::Report, "as if it had opened here");
    let mut seen = Seen::held();
    assert_eq!(seen.shared(3, None), Act::Close);
    seen.look.local = Local::Closed;
    assert_eq!(seen.shared(1, Some(10_000)), Act::Nothing, "an old copy has it open");
    assert_eq!(seen.again(), Act::Nothing);
    assert_eq!(seen.after(10_000), Act::TakeLease, "and is told that it is closed");
}

#[test]
fn what_somebody_has_forced_open_is_left_alone() {
    let mut seen = Seen::held();
    seen.look.is_wanted = true;
    seen.look.local = Local::ForcedOpen;
    assert_eq!(seen.after(20_000), Act::Nothing);
    assert_eq!(seen.shared(2, None), Act::Nothing);
}
