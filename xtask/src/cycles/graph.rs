//! A graph of names, and the circles in it.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    pub(super) fn add(&mut self, node: &str) {
        self.0.entry(short(node)).or_default();
    }

    pub(super) fn connect(&mut self, from: &str, to: &str) {
        self.add(to);
        self.0.entry(short(from)).or_default().insert(short(to));
    }

    pub(super) fn disconnect(&mut self, from: &str, to: &str) {
        if let Some(targets) = self.0.get_mut(from) {
            targets.remove(to);
        }
    }

    /// Whether there is an edge from the one to the other, and a way back.
    pub(super) fn is_in_a_circle(&self, from: &str, to: &str) -> bool {
        self.0.get(from).is_some_and(|targets| targets.contains(to)) && self.reached_from(to).contains(from)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn edges(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// The largest sets of two or more nodes in which each leads to every other.
    pub(super) fn circles(&self) -> Vec<BTreeSet<String>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|node| (node.as_str(), self.reached_from(node))).collect();
        let mut circles: Vec<BTreeSet<String>> = Vec::new();
        for (node, forward) in &reached {
            if circles.iter().any(|circle| circle.contains(*node)) {
                continue;
            }
            let members = forward.iter().filter(|other| reached[**other].contains(node));
            let circle: BTreeSet<String> = members.map(|name| (*name).to_owned()).collect();
            if circle.len() > 1 {
                circles.push(circle);
            }
        }
        circles
    }

    fn reached_from<'g>(&'g self, start: &'g str) -> BTreeSet<&'g str> {
        let mut reached = BTreeSet::new();
        let mut next = vec![start];
        while let Some(node) = next.pop() {
            for to in &self.0[node] {
                if reached.insert(to.as_str()) {
                    next.push(to);
                }
            }
        }
        reached
    }

    /// The edges between nodes of a circle, as `from -> to`.
    pub(super) fn edges_within(&self, circle: &BTreeSet<String>) -> Vec<String> {
        let edges = circle.iter().flat_map(|from| self.0[from].iter().map(move |to| (from, to)));
        edges.filter(|(_, to)| circle.contains(*to)).map(|(from, to)| format!("{from} -> {to}")).collect()
    }
}

/// A module's path as it is shown: without the crate, which every one has in common.
fn short(module: &str) -> String {
    module.strip_prefix("crate::").unwrap_or(module).to_owned()
}
