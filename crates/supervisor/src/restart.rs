//! Which exits call for a restart at all: OTP's restart types.

use crate::ExitReason;

/// OTP's restart types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always restarted.
    Permanent,
    /// Restarted after an abnormal exit only.
    Transient,
    /// Never restarted.
    Temporary,
}

impl Restart {
    /// Whether a child of this type is restarted after `exit`.
    pub fn should_restart(self, exit: &ExitReason) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => exit.is_abnormal(),
            Self::Temporary => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_restart_type_and_exit() {
        let message = || "x".to_owned();
        let table = [
            // exit, permanent, transient, temporary
            (ExitReason::Normal, true, false, false),
            (ExitReason::Shutdown, true, false, false),
            (ExitReason::Killed, true, true, false),
            (ExitReason::Panicked(message()), true, true, false),
            (ExitReason::Failed(message()), true, true, false),
            (ExitReason::Cancelled, true, true, false),
            (ExitReason::StartFailed(message()), true, true, false),
        ];
        for (exit, permanent, transient, temporary) in table {
            assert_eq!(Restart::Permanent.should_restart(&exit), permanent, "{exit}");
            assert_eq!(Restart::Transient.should_restart(&exit), transient, "{exit}");
            assert_eq!(Restart::Temporary.should_restart(&exit), temporary, "{exit}");
        }
    }
}
