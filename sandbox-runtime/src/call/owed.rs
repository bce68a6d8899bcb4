//! [`Owed`]: what a call owes: its admission to the breaker, an end to the record of its tool, and, until its first poll has ended, its
//! place among others.

use std::num::NonZeroU32;

use crate::breaker::Admission;

/// Any of them, in four bytes: a call that owes nothing is told from all others by one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owed(NonZeroU32);

impl Owed {
    const RECORDED: u32 = Admission::FREE_BITS[0];
    const IN_PLACE: u32 = Admission::FREE_BITS[1];

    /// What a call owes that has been admitted.
    #[inline]
    pub(super) fn of(admission: Admission) -> Owed {
        Owed(admission.bits())
    }

    /// The same for one that has been recorded.
    pub(super) fn recorded(self) -> Owed {
        Owed(self.0 | Self::RECORDED)
    }

    /// The same for one that has taken its place in the poll under way.
    pub(super) fn in_place(self) -> Owed {
        Owed(self.0 | Self::IN_PLACE)
    }

    /// The same for one whose place is kept elsewhere.
    pub(super) fn out_of_place(self) -> Owed {
        NonZeroU32::new(self.0.get() & !Self::IN_PLACE).map_or(self, Owed)
    }

    #[inline]
    pub(super) fn is_in_place(self) -> bool {
        self.0.get() & Self::IN_PLACE != 0
    }

    pub(super) fn new(admission: Option<Admission>, is_recorded: bool) -> Option<Owed> {
        let admission = admission.map_or(0, |admission| admission.bits().get());
        let recorded = if is_recorded { Self::RECORDED } else { 0 };
        NonZeroU32::new(admission | recorded).map(Owed)
    }

    /// The admission that the call holds, if it holds one.
    #[inline]
    pub(super) fn admission(self) -> Option<Admission> {
        Admission::from_bits(self.0.get() & !(Self::RECORDED | Self::IN_PLACE))
    }

    /// The admission of a call that is known to hold one.
    #[inline]
    pub(super) fn held_admission(self) -> Admission {
        Admission::from_bits_of_one(self.0)
    }

    #[inline]
    pub(super) fn is_recorded(self) -> bool {
        self.0.get() & Self::RECORDED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::CircuitBreaker;

    #[test]
    fn an_admission_and_an_end_are_owed_beside_each_other() {
        let admission = CircuitBreaker::new(1).request_if_closed().expect("it is closed");
        for is_recorded in [false, true] {
            let owed = Owed::new(Some(admission), is_recorded).expect("something is owed");
            assert_eq!(owed.admission(), Some(admission));
            assert_eq!(owed.is_recorded(), is_recorded);
        }
        assert_eq!(
            Owed::of(admission).recorded(),
            Owed::new(Some(admission), true).expect("both")
        );
        let end = Owed::new(None, true).expect("an end is owed");
        assert_eq!((end.admission(), end.is_recorded()), (None, true));
        assert_eq!(Owed::new(None, false), None);
    }
}
