//! Why a station leaves a node alone, in words.

use crate::fleet::{Claim, State};

/// Why a node is left alone.
pub(super) fn whose(claim: &Claim) -> String {
    let Claim { node, state, station, time, result, .. } = claim;
    match (station.is_empty(), state) {
        (true, _) => format!("{node} is left alone: {result}"),
        (false, State::Written) => format!("{node} was made by the station {station}, {time}"),
        (false, _) => format!("{node} is taken by the station {station} since {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_why_a_node_is_left_alone() {
        let claim = |state, station: &str| Claim {
            node: "node-3".to_owned(),
            state,
            station: station.to_owned(),
            serial: None,
            index: String::new(),
            time: "2026-11-27T04:00:00Z".to_owned(),
            card: String::new(),
            result: "claim-x cannot be read".to_owned(),
            before: None,
        };
        for (claim, words) in [
            (claim(State::Written, "age1x"), "node-3 was made by the station age1x, 2026-11-27T04:00:00Z"),
            (claim(State::Held, "age1x"), "node-3 is taken by the station age1x since 2026-11-27T04:00:00Z"),
            (claim(State::Held, ""), "node-3 is left alone: claim-x cannot be read"),
        ] {
            assert_eq!(whose(&claim), words);
        }
    }
}
