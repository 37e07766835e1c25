//! Work in dependency order, as much at once as the dependencies allow.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// What is to be done, and what has to be done before it. A need that is no node counts as met.
pub(crate) type Nodes = BTreeMap<String, BTreeSet<String>>;

/// Whether work goes on after something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Nothing new is begun; what is under way is waited for.
    Stop,
    /// Everything is done that does not need what failed.
    GoOn,
}

/// Does the work of every node. Returns the keys whose work failed, in the order in which it did.
///
/// `failed` is told at once, so that it can stop what is under way.
pub(crate) async fn run<Work, Done>(
    nodes: Nodes,
    after_failure: AfterFailure,
    work: Work,
    failed: impl Fn(),
) -> Vec<String>
where
    Work: Fn(String) -> Done,
    Done: Future<Output = bool>,
{
    let mut waiting = nodes;
    let mut finished: BTreeSet<String> = BTreeSet::new();
    let keys: BTreeSet<String> = waiting.keys().cloned().collect();
    for needs in waiting.values_mut() {
        needs.retain(|need| keys.contains(need));
    }
    let mut failures = Vec::new();
    let mut running = FuturesUnordered::new();
    loop {
        if failures.is_empty() || after_failure == AfterFailure::GoOn {
            let ready: Vec<String> = waiting
                .iter()
                .filter(|(_, needs)| needs.is_subset(&finished))
                .map(|(key, _)| key.clone())
                .collect();
            for key in ready {
                waiting.remove(&key);
                let done = work(key.clone());
                running.push(async move { (key, done.await) });
            }
        }
        let Some((key, succeeded)) = running.next().await else {
            return failures;
        };
        if succeeded {
            finished.insert(key);
        } else {
            failures.push(key);
            failed();
        }
    }
}

/// The same nodes the other way round: each waits for those that needed it.
pub(crate) fn reversed(nodes: &Nodes) -> Nodes {
    let mut reversed: Nodes = nodes
        .keys()
        .map(|key| (key.clone(), BTreeSet::new()))
        .collect();
    for (key, needs) in nodes {
        for need in needs {
            if let Some(waits) = reversed.get_mut(need) {
                waits.insert(key.clone());
            }
        }
    }
    reversed
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn nodes(entries: &[(&str, &[&str])]) -> Nodes {
        entries
            .iter()
            .map(|(key, needs)| {
                (
                    (*key).to_owned(),
                    needs.iter().map(|need| (*need).to_owned()).collect(),
                )
            })
            .collect()
    }

    async fn order(graph: Nodes, after: AfterFailure, failing: &str) -> (Vec<String>, Vec<String>) {
        let begun = Mutex::new(Vec::new());
        let failures = run(
            graph,
            after,
            |key| {
                begun.lock().unwrap().push(key.clone());
                let succeeds = key != failing;
                async move { succeeds }
            },
            || {},
        )
        .await;
        (begun.into_inner().unwrap(), failures)
    }

    #[tokio::test]
    async fn dependencies_come_first() {
        let graph = nodes(&[("C", &["A", "B"]), ("B", &["A"]), ("A", &["Elsewhere"])]);
        let (begun, failures) = order(graph.clone(), AfterFailure::Stop, "").await;
        assert_eq!(begun, ["A", "B", "C"]);
        assert!(failures.is_empty());
        let (begun, _) = order(reversed(&graph), AfterFailure::Stop, "").await;
        assert_eq!(begun, ["C", "B", "A"]);
    }

    #[tokio::test]
    async fn a_failure_stops_all_or_only_what_needs_it() {
        let graph = nodes(&[("A", &[]), ("B", &["A"]), ("X", &[]), ("Y", &["X"])]);
        let (begun, failures) = order(graph.clone(), AfterFailure::Stop, "A").await;
        assert_eq!(begun, ["A", "X"]);
        assert_eq!(failures, ["A"]);
        let (begun, failures) = order(graph, AfterFailure::GoOn, "A").await;
        assert_eq!(begun, ["A", "X", "Y"]);
        assert_eq!(failures, ["A"]);
    }
}
