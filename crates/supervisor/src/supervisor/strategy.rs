//! Who is restarted when one child ended.

use std::ops::Range;

/// OTP's restart strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Only the child that ended.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// The child that ended and those after it in the list.
    RestForOne,
}

impl Strategy {
    /// The places, in a list of `count` children, that are restarted if the one at `ended` ends.
    pub(super) fn affected(self, ended: usize, count: usize) -> Range<usize> {
        match self {
            Self::OneForOne => ended..ended + 1,
            Self::OneForAll => 0..count,
            Self::RestForOne => ended..count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_affects_whom_otp_says() {
        assert_eq!(Strategy::OneForOne.affected(1, 4), 1..2);
        assert_eq!(Strategy::OneForAll.affected(1, 4), 0..4);
        assert_eq!(Strategy::RestForOne.affected(1, 4), 1..4);
    }
}
