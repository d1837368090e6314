//! What is to become of each package, while it is being decided.

use std::cmp::Ordering;

use super::super::pins::Pins;
use super::super::universe::{Dependency, PackageId, Provide, Universe, VersionId};

/// What happens to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It stays as it is on the base, installed or not.
    Keep,
    /// It is installed, or another version of it.
    Install,
    /// It is removed.
    Remove,
}

/// What is decided of a package.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) mode: Mode,
    /// The version that will be there in the end.
    pub(super) install: Option<VersionId>,
    /// The version that may be installed. It is taken away once it was found that it cannot be.
    pub(super) candidate: Option<VersionId>,
    /// The candidate when the package was last changed: what is asked early whether a dependency could be met
    /// uses this one.
    pub(super) known_candidate: Option<VersionId>,
    /// What was decided of it stays.
    pub(super) is_protected: bool,
    /// It is new, and for another package's sake.
    pub(super) is_automatic: bool,
}

/// Which of a package's versions is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one on the base.
    Current,
    /// The one that will be there.
    Install,
    /// The one that may be installed.
    Candidate,
    /// The same, as it is known for early refusals.
    KnownCandidate,
}

/// All states.
pub(super) struct States<'a> {
    pub(super) universe: &'a Universe,
    pub(super) states: Vec<State>,
    /// Packages that are on the base.
    pub(super) installed: Vec<PackageId>,
    /// Dependencies led deeper than is followed.
    pub(super) too_deep: bool,
}

impl<'a> States<'a> {
    /// Nothing is changed yet.
    pub(super) fn new(universe: &'a Universe, pins: &Pins) -> Self {
        let states = universe.ids().map(|id| {
            let package = universe.package(id);
            let candidate = pins.candidate(universe, id);
            State {
                mode: Mode::Keep,
                install: package.current,
                candidate,
                known_candidate: candidate,
                is_protected: false,
                is_automatic: false,
            }
        });
        let installed = universe.ids().filter(|id| universe.package(*id).current.is_some()).collect();
        Self { universe, states: states.collect(), installed, too_deep: false }
    }

    pub(super) fn of(&self, id: PackageId) -> &State {
        &self.states[id.0 as usize]
    }

    pub(super) fn of_mut(&mut self, id: PackageId) -> &mut State {
        &mut self.states[id.0 as usize]
    }

    pub(super) fn current(&self, id: PackageId) -> Option<VersionId> {
        self.universe.package(id).current
    }

    pub(super) fn pick(&self, id: PackageId, which: Which) -> Option<VersionId> {
        match which {
            Which::Current => self.current(id),
            Which::Install => self.of(id).install,
            Which::Candidate => self.of(id).candidate,
            Which::KnownCandidate => self.of(id).known_candidate,
        }
    }

    fn owner(&self, dependency: &Dependency) -> PackageId {
        self.universe.version(dependency.owner).package
    }

    /// Whether a version of the dependency's target is what it means. A package does not conflict with itself.
    pub(super) fn means(&self, dependency: &Dependency, version: VersionId) -> bool {
        let is_itself = dependency.kind.is_negative() && self.owner(dependency) == dependency.target;
        !is_itself && self.fits(dependency, Some(self.universe.version_text(version)))
    }

    /// The same for what provides the target.
    pub(super) fn means_provided(&self, dependency: &Dependency, provide: &Provide) -> bool {
        let is_itself = dependency.kind.is_negative()
            && self.owner(dependency) == self.universe.version(provide.owner).package;
        !is_itself && self.fits(dependency, provide.version.map(|text| self.universe.str(text)))
    }

    /// Whether a version number is what is asked for. What is provided without one fits no number at all.
    pub(super) fn fits(&self, dependency: &Dependency, version: Option<&str>) -> bool {
        match (dependency.version, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((operator, named)), Some(version)) => operator.holds(version, self.universe.str(named)),
        }
    }

    /// The versions that a dependency means, of those that are asked about: the target itself, then who provides it.
    pub(super) fn meant(&self, dependency: &Dependency, which: Which) -> impl Iterator<Item = VersionId> {
        let target = self.pick(dependency.target, which).filter(|version| self.means(dependency, *version));
        let providers = self.universe.package(dependency.target).providers.iter().filter(move |provide| {
            let package = self.universe.version(provide.owner).package;
            self.pick(package, which) == Some(provide.owner) && self.means_provided(dependency, provide)
        });
        target.into_iter().chain(providers.map(|provide| provide.owner))
    }

    /// Whether a dependency is met: for a conflict, that nothing is there that it means.
    pub(super) fn is_met(&self, dependency: &Dependency, which: Which) -> bool {
        self.meant(dependency, which).next().is_some() != dependency.kind.is_negative()
    }

    /// Whether one of alternatives is met.
    pub(super) fn is_group_met(&self, group: &[Dependency], which: Which) -> bool {
        group.iter().any(|dependency| self.is_met(dependency, which))
    }

    /// The critical dependencies of the version that will be there, which what else will be there does not meet.
    pub(super) fn broken(&self, id: PackageId) -> impl Iterator<Item = &'a [Dependency]> {
        let groups = self.of(id).install.into_iter().flat_map(|version| self.universe.groups(version));
        groups.filter(|group| group[0].kind.is_critical() && !self.is_group_met(group, Which::Install))
    }

    pub(super) fn is_broken(&self, id: PackageId) -> bool {
        self.broken(id).next().is_some()
    }

    /// The packages that will be broken.
    pub(super) fn all_broken(&self) -> Vec<PackageId> {
        self.universe.ids().filter(|id| self.is_broken(*id)).collect()
    }

    /// The versions that meet a group of alternatives, in the order in which apt tries them: what is installed in
    /// some version, then what is new, each in the order of the alternatives; for each of these, as
    /// [`compare_providers`](Self::compare_providers) has it.
    pub(super) fn solutions(&self, group: &[Dependency], which: Which) -> Vec<VersionId> {
        let (mut installed, mut new) = (Vec::new(), Vec::new());
        for dependency in group {
            let mut versions: Vec<VersionId> = self.meant(dependency, which).collect();
            versions.sort_by(|a, b| self.compare_providers(dependency.target, *a, *b));
            versions.dedup();
            for version in versions {
                let is_installed = self.current(self.universe.version(version).package).is_some();
                if is_installed { &mut installed } else { &mut new }.push(version);
            }
        }
        installed.append(&mut new);
        installed.dedup();
        if !group.iter().any(|dependency| dependency.kind.is_negative()) {
            installed.retain(|version| {
                let package = self.universe.version(*version).package;
                let state = self.of(package);
                let stays_away = state.mode == Mode::Remove
                    || (state.mode == Mode::Keep && self.current(package).is_none());
                !(state.is_protected && stays_away)
            });
        }
        installed
    }

    /// Which of two versions is tried first for a dependency that names `target`.
    fn compare_providers(&self, target: PackageId, a: VersionId, b: VersionId) -> Ordering {
        let of = |version: VersionId| {
            let known = self.universe.version(version);
            let id = known.package;
            let package = self.universe.package(id);
            let is_installed = package.current.is_some();
            // what is true comes first
            let merits = [
                self.of(id).is_protected,
                known.is_same && is_installed,
                is_installed,
                id == target,
                package.essential,
                package.protected,
            ];
            (merits, known.priority, id)
        };
        let ((merits_a, priority_a, id_a), (merits_b, priority_b, id_b)) = (of(a), of(b));
        merits_b.cmp(&merits_a).then(priority_a.cmp(&priority_b)).then(id_b.cmp(&id_a))
    }
}
