//! Which station makes which node: decided by a registry that has no operation for it.

use std::sync::Barrier;

use pibake::base::{Cache, Fetcher, Ledger, Patience};
use pibake::fleet::{Claims, Keys, Opener, State, StationKey};
use pibake::io::CancelToken;
use pibake::progress::Silent;

use super::Fleet;

/// How often all of them want the same node at the same moment.
const ROUNDS: usize = 8;

#[test]
fn no_two_stations_take_the_same_node() {
    let fleet = Fleet::pushed();
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::within(dir.path().join("keys"));
    let cache = Cache::open(&dir.path().join("cache")).unwrap();
    let (ledger, seen) = (Ledger::default(), keys.seen());
    let fetcher = Fetcher {
        cache: &cache,
        offline: false,
        patience: Patience::default(),
        cancel: CancelToken::default(),
        progress: &Silent,
        ledger: &ledger,
    };
    let trusted = [fleet.key.parse().unwrap()];
    let opener = Opener { trusted: &trusted, seen: &seen, fetcher: &fetcher };
    let opened = opener.open(&fleet.name.parse().unwrap()).unwrap();
    let node = &opened.listing().nodes[0];
    let stations = [(); 4].map(|()| StationKey::make().public());
    for round in 0..ROUNDS {
        let start = Barrier::new(stations.len());
        let time = round.to_string();
        let take = |station| {
            let claims = Claims::new(&opened, station);
            start.wait();
            claims.take(node, &time).unwrap().is_none()
        };
        let take = &take;
        let holders: Vec<bool> = std::thread::scope(|scope| {
            let all: Vec<_> = stations.iter().map(|station| scope.spawn(move || take(station))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let count = holders.iter().filter(|holds| **holds).count();
        assert!(count <= 1, "{count} stations hold {}", node.name);
        // the one that has it keeps the others away, until it gives it back
        for (station, _) in stations.iter().zip(&holders).filter(|(_, holds)| **holds) {
            let claims = Claims::new(&opened, station);
            for other in stations.iter().filter(|other| other.to_string() != station.to_string()) {
                let said = Claims::new(&opened, other).take(node, "x").unwrap().unwrap();
                assert_eq!((said.station, said.state), (station.to_string(), State::Held));
            }
            claims.end(node, State::Free, "y", "card", "gave up").unwrap();
        }
    }
    // alone it is anybody's
    let claims = Claims::new(&opened, &stations[0]);
    assert_eq!(claims.take(node, "z").unwrap(), None);
    claims.end(node, State::Written, "z", "SD16G 0x1", "written and read back").unwrap();
    let taken = Claims::new(&opened, &stations[1]).taken().unwrap();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!((&*taken[0].card, taken[0].state), ("SD16G 0x1", State::Written));
}
