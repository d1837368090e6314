//! Which station makes which node: decided by a registry that has no operation for it.

use std::sync::Barrier;

use pibake::base::{Cache, Fetcher, Ledger};
use pibake::fleet::{
    Claim, Claims, Error, Fleet as Opened, Keys, Opener, PublicKey, Recipient, State, StationKey,
};
use support::{run, tool};

use super::{Fleet, INDEX, Machine};

/// How often all of them want the same node at the same moment.
const ROUNDS: usize = 8;

/// Does something with what this fleet, and others by these keys, are opened by.
fn with(fleet: &Fleet, more: &[&str], work: impl FnOnce(&Opener<'_>, &Fetcher<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::within(dir.path().join("keys"));
    let cache = Cache::open(&dir.path().join("cache")).unwrap();
    let (ledger, seen) = (Ledger::default(), keys.seen());
    let fetcher = Fetcher::new(&cache, &ledger);
    let trusted: Vec<PublicKey> =
        [fleet.key.as_str()].iter().chain(more).map(|key| key.parse().unwrap()).collect();
    work(&Opener { trusted: &trusted, seen: &seen, fetcher: &fetcher }, &fetcher);
}

/// What a station does with its claims.
struct Station<'a> {
    fleet: &'a Opened<'a>,
    fetcher: &'a Fetcher<'a>,
    key: &'a Recipient,
}

impl Station<'_> {
    fn does<T>(&self, work: impl FnOnce(&Claims<'_>) -> Result<T, Error>) -> T {
        Claims::with(self.fleet, self.key, self.fetcher, work).unwrap()
    }

    /// Whose the first node is where it is not this station's.
    fn takes(&self, again: bool) -> Option<Claim> {
        self.does(|claims| claims.take(&self.fleet.listing().nodes[0], "now", again))
    }

    fn taken(&self, again: bool) -> Vec<Claim> {
        self.does(|claims| claims.taken(&self.fleet.listing().nodes, again))
    }

    fn puts(&self, state: State, card: &str) {
        self.does(|claims| {
            let claim = claims.claim(&self.fleet.listing().nodes[0], state, "then");
            claims.put(&Claim { card: card.to_owned(), ..claim })
        });
    }
}

#[test]
fn one_of_those_who_want_a_node_gets_it_and_no_other_does() {
    let fleet = Fleet::pushed();
    with(&fleet, &[], |opener, fetcher| {
        let opened = opener.open(&fleet.name.parse().unwrap()).unwrap();
        let keys = [(); 4].map(|()| StationKey::make().public());
        let stations = keys.each_ref().map(|key| Station { fleet: &opened, fetcher, key });
        for round in 0..ROUNDS {
            let start = Barrier::new(stations.len());
            let take = |station: &Station<'_>| {
                station.does(|claims| {
                    start.wait();
                    claims.take(&opened.listing().nodes[0], "now", false)
                })
            };
            let take = &take;
            let others: Vec<Option<Claim>> = std::thread::scope(|scope| {
                let all: Vec<_> = stations.iter().map(|one| scope.spawn(move || take(one))).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let holders: Vec<&Station<'_>> = stations
                .iter()
                .zip(&others)
                .filter(|(_, other)| other.is_none())
                .map(|(one, _)| one)
                .collect();
            let [holder] = holders[..] else {
                panic!("round {round}: {} have it: {others:?}", holders.len())
            };
            // it keeps the others away, until it gives the node back
            for other in stations.iter().filter(|other| other.key.to_string() != holder.key.to_string()) {
                let said = other.takes(false).unwrap();
                assert_eq!((said.station, said.state), (holder.key.to_string(), State::Held));
            }
            holder.puts(State::Free, "");
        }
        // alone it is anybody's
        assert_eq!(stations[0].takes(false), None);
        stations[0].puts(State::Written, "SD16G 0x1");
        let taken = stations[1].taken(false);
        assert_eq!(taken.len(), 1, "{taken:?}");
        assert_eq!((&*taken[0].card, taken[0].state), ("SD16G 0x1", State::Written));
    });
}

#[test]
fn what_a_station_left_is_free_when_it_begins_again() {
    let fleet = Fleet::pushed();
    with(&fleet, &[], |opener, fetcher| {
        let opened = opener.open(&fleet.name.parse().unwrap()).unwrap();
        let keys = [(); 2].map(|()| StationKey::make().public());
        let [one, other] = keys.each_ref().map(|key| Station { fleet: &opened, fetcher, key });
        for state in [State::Bid, State::Held] {
            one.puts(state, "");
            let said = other.takes(false).unwrap();
            assert_eq!((said.station, said.state), (keys[0].to_string(), state));
            one.does(|claims| claims.begin("again"));
            assert_eq!(other.takes(false), None, "{state:?}");
            other.puts(State::Free, "");
        }
    });
}

#[test]
fn a_card_that_is_made_counts_until_another_one_is() {
    let fleet = Fleet::pushed();
    with(&fleet, &[], |opener, fetcher| {
        let open = || opener.open(&fleet.name.parse().unwrap()).unwrap();
        let keys = [(); 2].map(|()| StationKey::make().public());
        let first = open();
        let [one, other] = keys.each_ref().map(|key| Station { fleet: &first, fetcher, key });
        assert_eq!(one.takes(false), None);
        one.puts(State::Written, "the first");
        // one more was begun, and came to nothing
        one.does(|claims| claims.seize(&first.listing().nodes[0], "later"));
        one.puts(State::Free, "the second");
        one.does(|claims| claims.begin("again"));
        let said = other.takes(false).unwrap();
        assert_eq!((&*said.card, said.state, said.serial), ("the first", State::Written, Some(1)));
        one.puts(State::Written, "the third");
        assert_eq!(other.takes(false).unwrap().card, "the third");

        // a push does not make cards unmade, unless all are to be made anew
        assert!(one.does(|claims| claims.is_current()));
        fleet.push();
        assert!(!one.does(|claims| claims.is_current()));
        let second = open();
        let [newer, other] = keys.each_ref().map(|key| Station { fleet: &second, fetcher, key });
        assert!(newer.does(|claims| claims.is_current()));
        for station in [&newer, &other] {
            assert_eq!(station.taken(false).len(), 1);
            assert!(station.taken(true).is_empty());
        }
        assert_eq!(other.takes(false).unwrap().serial, Some(1));
        assert_eq!(newer.takes(true), None);
        // whoever is at work by the older index keeps the others off all the same
        let said = other.takes(true).unwrap();
        assert_eq!((said.state, said.serial), (State::Held, Some(2)));
        newer.puts(State::Free, "");
        assert_eq!(one.takes(false), None);
        assert!(newer.taken(true).is_empty());
        assert_eq!(other.takes(true).map(|claim| claim.serial), Some(Some(1)));
    });
}

/// A station that makes a card again, and does not get far, has the one that it made before all the same.
#[test]
fn a_card_that_is_not_made_again_leaves_the_one_before() {
    let fleet = Fleet::pushed();
    with(&fleet, &[], |opener, fetcher| {
        let open = || opener.open(&fleet.name.parse().unwrap()).unwrap();
        let keys = [(); 2].map(|()| StationKey::make().public());
        let first = open();
        let [one, other] = keys.each_ref().map(|key| Station { fleet: &first, fetcher, key });
        assert_eq!(one.takes(false), None);
        one.puts(State::Written, "the first");
        fleet.push();
        let second = open();
        let [newer, newest] = keys.each_ref().map(|key| Station { fleet: &second, fetcher, key });
        let seize = || newer.does(|claims| claims.seize(&second.listing().nodes[0], "again"));
        let take = || assert_eq!(newer.takes(true), None);
        let (fails, dies) =
            (|| newer.puts(State::Free, "the second"), || newer.does(|claims| claims.begin("later")));
        let begun: [&dyn Fn(); 3] = [&take, &seize, &|| newer.puts(State::Held, "")];
        let ended: [&dyn Fn(); 2] = [&fails, &dies];
        for (number, (begin, end)) in begun.iter().flat_map(|b| ended.iter().map(move |e| (b, e))).enumerate()
        {
            begin();
            // as long as it is at work, nobody else makes one
            assert_eq!(newest.takes(true).map(|claim| claim.state), Some(State::Held), "{number}");
            end();
            for station in [&one, &other, &newer, &newest] {
                let taken = station.taken(false);
                assert_eq!(taken.len(), 1, "{number}: {taken:?}");
                assert_eq!((&*taken[0].card, taken[0].serial), ("the first", Some(1)), "{number}");
                assert_eq!((taken[0].state, taken[0].time.as_str()), (State::Written, "then"), "{number}");
            }
            assert!(newest.taken(true).is_empty(), "{number}");
        }
        take();
        newer.puts(State::Written, "the second");
        assert_eq!((&*newest.taken(true)[0].card, newest.taken(true)[0].serial), ("the second", Some(2)));
    });
}

#[test]
fn clusters_of_one_repository_have_lists_of_their_own() {
    let (fleet, lab) = (Fleet::pushed(), Machine::new());
    let name = format!("{}:lab", fleet.name);
    let recipient = fleet.station.key();
    let words = ["push", &name, "--base", "sample", "--nodes", "1", "--recipient", &recipient];
    let key = lab.good(&words)["key"].as_str().unwrap().to_owned();
    with(&fleet, &[&key], |opener, fetcher| {
        let both = [&fleet.name, &name].map(|name| opener.open(&name.parse().unwrap()).unwrap());
        let keys = [(); 2].map(|()| StationKey::make().public());
        for (fleet, key) in both.iter().zip(&keys) {
            assert_eq!(Station { fleet, fetcher, key }.takes(false), None);
        }
    });
}

#[test]
fn what_is_no_claim_keeps_stations_off_and_ends_none() {
    let fleet = Fleet::pushed();
    with(&fleet, &[], |opener, fetcher| {
        let opened = opener.open(&fleet.name.parse().unwrap()).unwrap();
        let key = StationKey::make().public();
        let station = Station { fleet: &opened, fetcher, key: &key };
        station.puts(State::Free, "");
        let url = format!("http://{}/v2/home/tags/list", fleet.registry.host());
        let list = run(tool("curl", "curl").args(["--fail", "--silent", "--show-error"]).arg(url));
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let tags: Vec<&str> =
            list["tags"].as_array().unwrap().iter().filter_map(|tag| tag.as_str()).collect();
        let own = tags.iter().find(|tag| tag.starts_with("claim-")).unwrap();
        let odd = format!("{}-{}", own.rsplit_once('-').unwrap().0, "0".repeat(16));
        fleet.put(&odd, INDEX, &fleet.manifest("latest"));
        let said = station.takes(false).unwrap();
        assert_eq!((&*said.station, said.state), ("", State::Held));
        assert!(said.result.contains(&format!("{odd} is no claim that can be read")), "{}", said.result);
        assert_eq!(station.taken(false).len(), 1);
    });
}
