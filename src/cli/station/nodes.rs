//! The nodes of a station that have no card yet: whose turn is next, for all cards that are made at once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fleet::{Claim, ListedNode};
use crate::io::CancelToken;

/// How often whoever waits for a node looks whether the run was cancelled.
const POLL: Duration = Duration::from_millis(100);

/// A node whose turn it is.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub node: Arc<ListedNode>,
    /// How often it went to another station at the moment when this one wanted it.
    pub lost: u32,
}

/// What is left to do.
pub(super) struct Nodes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Turn>,
    /// How many are given back, of which the registry does not know yet. Until it does they are nobody's turn: what it
    /// is told late would otherwise set a node free whose card is being made again.
    returning: usize,
    /// Names of those whose cards were made in this run.
    made: BTreeSet<String>,
    taken: Vec<Claim>,
    is_closed: bool,
}

impl Nodes {
    /// These, in this order.
    pub(super) fn new<'n>(nodes: impl Iterator<Item = &'n ListedNode>) -> Self {
        let queue = nodes.map(|node| Turn { node: Arc::new(node.clone()), lost: 0 }).collect();
        let state = State { queue, ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // what is in it is whole at any time
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Those that wait for a card now.
    pub(super) fn waiting(&self) -> Vec<Arc<ListedNode>> {
        self.state().queue.iter().map(|turn| Arc::clone(&turn.node)).collect()
    }

    /// Whether no card is wanted any more, but for nodes whose cards are being made.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.is_closed || state.queue.is_empty() && state.returning == 0
    }

    /// Waits until a node has no card that nobody makes; false where that does not come.
    pub(super) fn wait(&self, cancel: &CancelToken) -> bool {
        self.when_one_waits(cancel).is_some()
    }

    /// The next one, which is then the caller's: to be made, or to be given back. Waits for one that is on its way back.
    pub(super) fn next(&self, cancel: &CancelToken) -> Option<Turn> {
        self.when_one_waits(cancel)?.queue.pop_front()
    }

    fn when_one_waits(&self, cancel: &CancelToken) -> Option<MutexGuard<'_, State>> {
        let mut state = self.state();
        loop {
            if state.is_closed || cancel.is_cancelled() {
                return None;
            }
            if !state.queue.is_empty() {
                return Some(state);
            }
            if state.returning == 0 {
                return None;
            }
            let waited = self.changed.wait_timeout(state, POLL);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// It is on its way back.
    pub(super) fn returns(&self) {
        self.change(|state| state.returning += 1);
    }

    /// It is back, and the next one.
    pub(super) fn is_back(&self, turn: Turn) {
        self.change(|state| {
            state.returning = state.returning.saturating_sub(1);
            state.queue.push_front(turn);
        });
    }

    /// Another station wanted it at the same moment: its turn comes again at the end, in case nothing came of that.
    pub(super) fn later(&self, turn: Turn) {
        self.change(|state| state.queue.push_back(Turn { lost: turn.lost + 1, ..turn }));
    }

    /// Another station has it.
    pub(super) fn is_taken(&self, claim: Claim) {
        self.change(|state| state.taken.push(claim));
    }

    /// Another station made it meanwhile; whether it waited for a card here.
    pub(super) fn was_made_elsewhere(&self, claim: &Claim) -> bool {
        let mut was_waiting = false;
        self.change(|state| {
            let before = state.queue.len();
            state.queue.retain(|turn| turn.node.name != claim.node);
            was_waiting = state.queue.len() < before;
            state.taken.extend(was_waiting.then(|| claim.clone()));
        });
        was_waiting
    }

    /// Its card was made.
    pub(super) fn is_made(&self, node: &str) {
        self.change(|state| {
            state.made.insert(node.to_owned());
        });
    }

    /// Whether its card was made in this run.
    pub(super) fn was_made(&self, node: &str) -> bool {
        self.state().made.contains(node)
    }

    /// What other stations have, and this one wanted.
    pub(super) fn taken(&self) -> Vec<Claim> {
        self.state().taken.clone()
    }

    /// From now on nobody gets one.
    pub(super) fn close(&self) {
        self.change(|state| state.is_closed = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet;

    fn nodes(count: u16) -> Nodes {
        let nodes: Vec<_> =
            (1..=count).map(|number| ListedNode::for_tests(&format!("node-{number}"), number)).collect();
        Nodes::new(nodes.iter())
    }

    fn next(nodes: &Nodes) -> Option<Turn> {
        nodes.next(&CancelToken::default())
    }

    #[test]
    fn a_node_that_is_given_back_is_nobodys_until_the_registry_knows() {
        let nodes = nodes(1);
        let turn = next(&nodes).unwrap();
        assert!(nodes.is_over() && next(&nodes).is_none());
        nodes.returns();
        assert!(!nodes.is_over() && nodes.waiting().is_empty());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| next(&nodes));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            nodes.is_back(turn.clone());
            assert_eq!(waiting.join().unwrap().unwrap().node, turn.node);
        });
        assert!(nodes.is_over());
    }

    #[test]
    fn nobody_waits_who_was_cancelled_or_sent_away() {
        let nodes = nodes(1);
        let cancel = CancelToken::default();
        assert!(nodes.wait(&cancel));
        drop(next(&nodes));
        nodes.returns();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| nodes.wait(&cancel));
            cancel.cancel();
            assert!(!waiting.join().unwrap());
            let waiting = scope.spawn(|| nodes.wait(&CancelToken::default()));
            nodes.close();
            assert!(!waiting.join().unwrap());
        });
        assert!(nodes.is_over());
    }

    #[test]
    fn one_that_another_station_made_is_waited_for_no_longer() {
        let nodes = nodes(2);
        let turn = next(&nodes).unwrap();
        let claim = |node: &str| Claim {
            node: node.to_owned(),
            state: fleet::State::Written,
            station: "age1x".to_owned(),
            serial: None,
            index: String::new(),
            time: String::new(),
            card: String::new(),
            result: String::new(),
            before: None,
        };
        // this one's card is being made here
        assert!(!nodes.was_made_elsewhere(&claim("node-1")) && nodes.was_made_elsewhere(&claim("node-2")));
        assert!(nodes.is_over());
        nodes.returns();
        nodes.is_back(turn);
        assert!(!nodes.is_over());
        assert_eq!(nodes.taken(), [claim("node-2")]);
    }

    #[test]
    fn one_that_was_lost_at_a_moment_comes_last_and_one_that_is_back_first() {
        let nodes = nodes(3);
        let [one, two] = [(); 2].map(|()| next(&nodes).unwrap());
        nodes.later(one);
        nodes.returns();
        nodes.is_back(two);
        let order = std::iter::from_fn(|| next(&nodes)).map(|turn| (turn.node.number, turn.lost));
        assert_eq!(order.collect::<Vec<_>>(), [(2, 0), (3, 0), (1, 1)]);
    }
}
