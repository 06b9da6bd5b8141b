//! The index of patterns and names: who is interested in a stream.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::Pattern;
use super::pattern::Segment;

/// Patterns and names, each with whom it belongs to, as a trie of segments. Finding who matches a name
/// costs by the name and by the matches, not by how many patterns there are.
#[derive(Debug)]
pub struct Index<K, V> {
    root: Node<K, V>,
}

#[derive(Debug)]
struct Node<K, V> {
    literal: HashMap<Box<str>, Node<K, V>>,
    one: Option<Box<Node<K, V>>>,
    any: Option<Box<Node<K, V>>>,
    /// Whose patterns end here.
    here: HashMap<K, V>,
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Self {
        Self { literal: HashMap::new(), one: None, any: None, here: HashMap::new() }
    }
}

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Index<K, V> {
    /// Adds a pattern, or puts another value in the place of the one that it had for `key`.
    pub fn insert_pattern(&mut self, pattern: &Pattern, key: K, value: V) {
        let mut node = &mut self.root;
        for segment in pattern.segments() {
            node = match segment {
                Segment::Literal(text) => node.literal.entry(text.as_str().into()).or_default(),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Any => node.any.get_or_insert_default(),
            };
        }
        node.here.insert(key, value);
    }

    /// Adds one name, in which stars mean themselves.
    pub fn insert_name(&mut self, name: &str, key: K, value: V) {
        let mut node = &mut self.root;
        for word in name.split('/') {
            node = node.literal.entry(word.into()).or_default();
        }
        node.here.insert(key, value);
    }

    /// Removes a pattern of `key`.
    pub fn remove_pattern(&mut self, pattern: &Pattern, key: &K) {
        let path: Vec<Step<'_>> = pattern.segments().iter().map(Step::of).collect();
        self.root.remove(&path, key);
    }

    /// Removes a name of `key`.
    pub fn remove_name(&mut self, name: &str, key: &K) {
        let path: Vec<Step<'_>> = name.split('/').map(Step::Literal).collect();
        self.root.remove(&path, key);
    }

    /// Everybody with a pattern or a name that matches, once each, in no particular order.
    pub fn matches(&self, name: &str) -> Vec<V> {
        // The nodes that the segments read so far lead to: a set, so that many `**` cost no search.
        let mut states = States::default();
        states.add(&self.root, false);
        for word in name.split('/') {
            let mut next = States::default();
            for (node, repeats) in states.nodes {
                if repeats {
                    next.add(node, true);
                }
                if let Some(one) = &node.one {
                    next.add(one, false);
                }
                if let Some(literal) = node.literal.get(word) {
                    next.add(literal, false);
                }
            }
            states = next;
        }
        let here = states.nodes.into_iter().flat_map(|(node, _)| &node.here);
        let found: HashMap<&K, &V> = here.collect();
        found.into_values().cloned().collect()
    }

    /// Whether there is nothing to match.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }
}

/// One step down the trie.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Literal(&'a str),
    One,
    Any,
}

impl<'a> Step<'a> {
    fn of(segment: &'a Segment) -> Self {
        match segment {
            Segment::Literal(text) => Self::Literal(text),
            Segment::One => Self::One,
            Segment::Any => Self::Any,
        }
    }
}

impl<K: Eq + Hash, V> Node<K, V> {
    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.one.is_none() && self.any.is_none() && self.here.is_empty()
    }

    /// Removes, and cuts branches that are bare now.
    fn remove(&mut self, path: &[Step<'_>], key: &K) {
        let Some((step, rest)) = path.split_first() else {
            self.here.remove(key);
            return;
        };
        let child = match step {
            Step::Literal(word) => self.literal.get_mut(*word),
            Step::One => self.one.as_deref_mut(),
            Step::Any => self.any.as_deref_mut(),
        };
        let Some(child) = child else { return };
        child.remove(rest, key);
        if child.is_empty() {
            match step {
                Step::Literal(word) => drop(self.literal.remove(*word)),
                Step::One => self.one = None,
                Step::Any => self.any = None,
            }
        }
    }
}

/// Nodes that a name has led to so far, and whether each may take another segment: it ends in `**`.
struct States<'a, K, V> {
    nodes: Vec<(&'a Node<K, V>, bool)>,
    seen: HashSet<*const Node<K, V>>,
}

impl<K, V> Default for States<'_, K, V> {
    fn default() -> Self {
        Self { nodes: Vec::new(), seen: HashSet::new() }
    }
}

impl<'a, K, V> States<'a, K, V> {
    fn add(&mut self, node: &'a Node<K, V>, repeats: bool) {
        if self.seen.insert(node) {
            self.nodes.push((node, repeats));
            // A `**` may match nothing.
            if let Some(any) = &node.any {
                self.add(any, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(mut found: Vec<usize>) -> Vec<usize> {
        found.sort_unstable();
        found
    }

    #[test]
    fn a_name_is_no_pattern() {
        let mut index = Index::default();
        index.insert_name("a/*", 1, 1);
        assert_eq!(index.matches("a/b"), Vec::<i32>::new());
        assert_eq!(index.matches("a/*"), [1]);
        index.insert_pattern(&Pattern::parse("a/*").unwrap(), 1, 1);
        assert_eq!(index.matches("a/*"), [1], "once each");
        index.remove_name("a/*", &1);
        index.remove_pattern(&Pattern::parse("a/*").unwrap(), &1);
        assert!(index.is_empty());
    }

    proptest! {
        #[test]
        fn the_index_finds_what_matches(
            patterns in prop::collection::vec("(a|b|\\*|\\*\\*)(/(a|b|\\*|\\*\\*)){0,4}", 0..20),
            removed in prop::collection::vec(any::<bool>(), 20),
            names in prop::collection::vec("(a|b|c)(/(a|b|c)){0,4}", 1..10),
        ) {
            let patterns: Vec<Pattern> =
                patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
            let mut index = Index::default();
            for (at, pattern) in patterns.iter().enumerate() {
                index.insert_pattern(pattern, at, at);
            }
            let removed = |at: &usize| removed[*at];
            for (at, pattern) in patterns.iter().enumerate().filter(|(at, _)| removed(at)) {
                index.remove_pattern(pattern, &at);
            }
            for name in names {
                let expected = patterns.iter().enumerate();
                let expected = expected.filter(|(at, p)| !removed(at) && p.matches(&name));
                let expected: Vec<usize> = expected.map(|(at, _)| at).collect();
                prop_assert_eq!(sorted(index.matches(&name)), expected);
            }
        }
    }
}
