//! Which restart policy a stream has: that of the longest prefix of its name, else the system's.

use std::fmt;
use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::{RestartPolicy, StandardPolicy};

/// The system's policy and those of prefixes.
pub(crate) struct Policies {
    default: Arc<dyn RestartPolicy>,
    /// The longest prefix first.
    by_prefix: Vec<(Box<str>, Arc<dyn RestartPolicy>)>,
}

impl Default for Policies {
    fn default() -> Self {
        Self { default: Arc::new(StandardPolicy::transient()), by_prefix: Vec::new() }
    }
}

impl Policies {
    pub(crate) fn set_default(&mut self, policy: impl RestartPolicy) {
        self.default = Arc::new(policy);
    }

    /// Sets the policy of a prefix; the last one holds.
    pub(crate) fn set(&mut self, prefix: &str, policy: impl RestartPolicy) {
        self.by_prefix.retain(|(known, _)| **known != *prefix);
        self.by_prefix.push((prefix.into(), Arc::new(policy)));
        self.by_prefix.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    /// The policy of a stream.
    pub(crate) fn of(&self, name: &StreamName) -> Arc<dyn RestartPolicy> {
        let named = self.by_prefix.iter().find(|(prefix, _)| name.as_str().starts_with(&**prefix));
        named.map_or(&self.default, |(_, policy)| policy).clone()
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_prefix.iter().map(|(prefix, _)| prefix)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn restarts(policies: &Policies, name: &str) -> u32 {
        policies.of(&StreamName::new(name).unwrap()).intensity().max_restarts
    }

    #[test]
    fn the_longest_prefix_wins_and_the_last_policy_of_a_prefix() {
        let policy = |max| StandardPolicy::transient().intensity(max, Duration::from_secs(60));
        let mut policies = Policies::default();
        policies.set_default(policy(1));
        policies.set("a/", policy(99));
        policies.set("a/b", policy(3));
        policies.set("a/", policy(2));
        let of = |name| restarts(&policies, name);
        assert_eq!((of("b"), of("a/x"), of("a/b"), of("a/bc"), of("a")), (1, 2, 3, 3, 1));
    }

    #[test]
    fn the_empty_prefix_is_everybodys() {
        let mut policies = Policies::default();
        policies.set("", StandardPolicy::temporary().intensity(7, Duration::from_secs(1)));
        assert_eq!(restarts(&policies, "x"), 7);
    }
}
