//! What the runs have met: a simulation that never crashes proves nothing.

use std::fmt;
use std::ops::AddAssign;

macro_rules! stats {
    ($($name:ident)*) => {
        /// How often each kind of event happened.
        #[derive(Debug, Clone, Copy, Default)]
        pub(super) struct Stats {
            $(pub(super) $name: u64,)*
        }

        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl Stats {
            /// The kinds of events, and how often each happened.
            pub(super) fn each(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

stats! {
    runs commits acknowledged refused reads
    seals filings merges meanwhile
    power_losses kills recoveries broken_recoveries torn_tails zero_tails adopted
    full_commits full_steps faults poisoned failed_steps failed_opens
    journal_rot filed_rot corrupt_answers
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> =
            self.each().iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&each.join(", "))
    }
}
