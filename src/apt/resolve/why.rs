//! Says why packages cannot be had: which package wants what, and what is there instead.

use std::collections::HashSet;

use super::super::pins::Pins;
use super::super::universe::{Dependency, PackageId, Universe, VersionId};
use super::state::{Mode, States, Which};

/// Why a set of packages cannot be installed together, in one sentence: the way from a package that was asked for to
/// what cannot be met, if there is one; else two packages that conflict; else what was not met in the end.
pub(super) fn why(
    universe: &Universe,
    pins: &Pins,
    asked: &[(PackageId, VersionId)],
    after: &States<'_>,
) -> String {
    let mut before = States::new(universe, pins);
    for (id, version) in asked {
        before.set_candidate(*id, *version);
    }
    match certain(&before, asked) {
        Err(unmeetable) => unmeetable,
        Ok(certain) => conflict(&before, &certain).unwrap_or_else(|| unmet(after)),
    }
}

/// What is installed whatever else is chosen: what was asked for, and all that is the only one to meet what these
/// depend on. Breadth first, so that the shortest way is told to what nothing meets.
fn certain(states: &States<'_>, asked: &[(PackageId, VersionId)]) -> Result<Vec<VersionId>, String> {
    let universe = states.universe;
    let mut ways: Vec<(VersionId, Vec<String>)> =
        asked.iter().map(|(_, version)| (*version, Vec::new())).collect();
    let mut seen: HashSet<VersionId> = asked.iter().map(|(_, version)| *version).collect();
    let mut at = 0;
    while let Some((version, way)) = ways.get(at).cloned() {
        at += 1;
        let groups = universe.groups(version);
        for group in groups.filter(|group| group[0].kind.is_critical() && !group[0].kind.is_negative()) {
            if states.is_group_met(group, Which::Current) {
                continue;
            }
            let mut way = way.clone();
            way.push(wants(universe, version, group));
            let mut solutions = states.solutions(group, Which::Candidate);
            solutions.retain(|version| {
                let package = universe.package(universe.version(*version).package);
                !package.held || package.current == Some(*version)
            });
            match solutions[..] {
                [] => {
                    let reasons: Vec<String> = group.iter().map(|one| missing(states, one)).collect();
                    return Err(format!("{}; {}", way.join(", "), reasons.join(", ")));
                }
                [only] if seen.insert(only) => ways.push((only, way)),
                // with alternatives, one that cannot be had is not a reason yet
                _ => {}
            }
        }
    }
    Ok(ways.into_iter().map(|(version, _)| version).collect())
}

fn wants(universe: &Universe, version: VersionId, group: &[Dependency]) -> String {
    let name = universe.name(universe.version(version).package);
    let text = universe.version_text(version);
    format!("{name} {text} has {}: {}", group[0].kind.name(), universe.write_group(group))
}

/// What there is instead of what is asked for.
fn missing(states: &States<'_>, dependency: &Dependency) -> String {
    let universe = states.universe;
    let package = universe.package(dependency.target);
    let name = &package.name;
    let texts = |ids: &[VersionId]| {
        ids.iter().take(5).map(|id| universe.version_text(*id)).collect::<Vec<_>>().join(", ")
    };
    let fitting: Vec<VersionId> =
        package.versions.iter().filter(|id| states.means(dependency, **id)).copied().collect();
    match (states.of(dependency.target).candidate, &package.versions[..]) {
        _ if !fitting.is_empty() && package.held => {
            format!("{name} is on hold on the base, which keeps {} away", texts(&fitting))
        }
        (Some(candidate), _) if !fitting.is_empty() => {
            let candidate = universe.version_text(candidate);
            format!("of {name}, {} would do, but pins or the base prefer {candidate}", texts(&fitting))
        }
        (None, _) if !fitting.is_empty() => format!("pins keep {name} {} away", texts(&fitting)),
        (_, []) if package.providers.is_empty() => format!("no repository has {name}"),
        (_, []) => {
            let owners = package.providers.iter().take(5).map(|provide| {
                let owner = universe.version(provide.owner);
                let version = provide.version.map_or("no version", |text| universe.str(text));
                format!("{} ({version})", universe.name(owner.package))
            });
            format!("{name} is provided only by {}", owners.collect::<Vec<_>>().join(", "))
        }
        (_, versions) => format!("of {name}, there is {}", texts(versions)),
    }
}

/// Two packages of which one conflicts with the other: certain ones, or one that may not be changed on the base.
fn conflict(states: &States<'_>, certain: &[VersionId]) -> Option<String> {
    let universe = states.universe;
    let staying: Vec<VersionId> = states
        .installed
        .iter()
        .map(|id| universe.package(*id))
        .filter(|package| package.essential || package.protected || package.held)
        .filter_map(|package| package.current)
        .collect();
    let all: Vec<VersionId> = certain.iter().chain(&staying).copied().collect();
    for version in &all {
        for one in universe.dependencies(*version).iter().filter(|one| one.kind.is_negative()) {
            let is_meant = |other: &&VersionId| {
                let owner = universe.version(**other).package;
                let mut provides = universe.package(one.target).providers.iter();
                (owner == one.target && states.means(one, **other))
                    || provides.any(|provide| provide.owner == **other && states.means_provided(one, provide))
            };
            // what both are on the base live together there
            let Some(rival) = all
                .iter()
                .filter(|other| certain.contains(version) || certain.contains(other))
                .find(is_meant)
            else {
                continue;
            };
            let is_free = certain.contains(rival) && certain.contains(version);
            let reason =
                if is_free { "which is needed, too" } else { "which may not be changed on the base" };
            let name = universe.name(universe.version(*rival).package);
            let wish = wants(universe, *version, &[*one]);
            return Some(format!("{wish}; that is {name} {}, {reason}", universe.version_text(*rival)));
        }
    }
    None
}

/// What was not met in the end.
fn unmet(after: &States<'_>) -> String {
    let universe = after.universe;
    let texts = after.all_broken().into_iter().filter_map(|id| {
        let version = after.of(id).install?;
        let group = after.broken(id).next()?;
        let text = wants(universe, version, group);
        let (target, kind) = (group[0].target, group[0].kind);
        let state = after.of(target);
        let instead = match (kind.is_negative(), state.install) {
            (true, Some(install)) => format!("{} is there", universe.version_text(install)),
            (false, Some(install)) => format!("{} would be there", universe.version_text(install)),
            _ if state.mode == Mode::Remove => "it would be removed".to_owned(),
            _ => "it would not be there".to_owned(),
        };
        Some(format!("{text}, but {instead}"))
    });
    let texts: Vec<String> = texts.take(3).collect();
    if texts.is_empty() {
        "its dependencies are deeper than is followed".to_owned()
    } else {
        texts.join("; ")
    }
}
