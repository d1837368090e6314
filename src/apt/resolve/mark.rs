//! Marks packages for installation, and what they need and drive out, as apt does.
//!
//! apt has no search over all combinations. It marks a package, then what its dependencies ask for, in their order,
//! the first alternative first, and goes to the next alternative only where one cannot be marked at all. What is
//! decided for the user's packages is protected. These are the rules of apt 2.6 (`pkgDepCache::MarkInstall`), as far
//! as machines of one architecture meet them.

use super::super::universe::{Dependency, PackageId, VersionId};
use super::state::{Mode, States, Which};

/// How deep dependencies are followed. The deepest way through Debian's is below 150.
const DEPTH: usize = 500;

/// Who asks for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The user, who may change what is held.
    User,
    /// The resolver.
    Resolver,
}

/// What has to go, or be upgraded, for a package.
#[derive(Default)]
struct Rivals {
    upgrade: Vec<PackageId>,
    /// Removed when all else has been marked.
    remove: Vec<PackageId>,
    /// Something that is in the way may not be removed.
    failed: bool,
}

impl<'a> States<'a> {
    fn package_of(&self, version: VersionId) -> PackageId {
        self.universe.version(version).package
    }

    fn may_change(&mut self, id: PackageId, mode: Mode, depth: usize, by: By) -> bool {
        if depth > DEPTH {
            self.too_deep = true;
            return false;
        }
        let package = self.universe.package(id);
        let state = self.of(id);
        if package.versions.is_empty() {
            return false;
        }
        if by == By::User || state.mode == mode {
            return true;
        }
        let is_essential = package.essential || package.protected;
        let is_kept = (mode != Mode::Keep && package.held) || (mode == Mode::Remove && is_essential);
        !state.is_protected && !is_kept
    }

    /// Whether a package that is to be removed may be: not one that the user asked for.
    fn may_remove(&self, id: PackageId) -> bool {
        let state = self.of(id);
        let is_asked_for = self.current(id).is_none() && state.install.is_some() && !state.is_automatic;
        !is_asked_for
    }

    fn set(&mut self, id: PackageId, mode: Mode, install: Option<VersionId>) {
        let state = self.of_mut(id);
        (state.mode, state.install, state.known_candidate) = (mode, install, state.candidate);
    }

    /// Leaves a package as it is on the base.
    pub(super) fn mark_keep(&mut self, id: PackageId, depth: usize, by: By) -> bool {
        if !self.may_change(id, Mode::Keep, depth, by) {
            return false;
        }
        if self.of(id).mode != Mode::Keep {
            self.set(id, Mode::Keep, self.current(id));
        }
        true
    }

    /// Removes a package, or does not install it after all.
    pub(super) fn mark_remove(&mut self, id: PackageId, depth: usize) -> bool {
        if !self.may_change(id, Mode::Remove, depth, By::Resolver) {
            return false;
        }
        if self.of(id).mode == Mode::Remove || self.of(id).install.is_none() {
            return true;
        }
        if !self.may_remove(id) {
            return false;
        }
        let mode = if self.current(id).is_none() { Mode::Keep } else { Mode::Remove };
        self.set(id, mode, None);
        true
    }

    /// Takes the candidate away, since it is none.
    fn discard_candidate(&mut self, id: PackageId) {
        let state = self.of_mut(id);
        state.candidate = state.install;
    }

    /// Takes back that a package is installed: it cannot be.
    fn discard_install(&mut self, id: PackageId) {
        let current = self.current(id);
        let state = self.of(id);
        if state.mode == Mode::Keep && state.install == state.candidate && state.candidate == current {
            return;
        }
        self.set(id, Mode::Keep, current);
        self.discard_candidate(id);
    }

    /// Makes another version the candidate.
    pub(super) fn set_candidate(&mut self, id: PackageId, version: VersionId) {
        let state = self.of_mut(id);
        if state.candidate == Some(version) {
            return;
        }
        if state.candidate == state.install && state.mode == Mode::Install {
            state.install = Some(version);
        }
        state.candidate = Some(version);
        state.known_candidate = Some(version);
    }

    /// Whether the candidate's dependencies can be met at all. If not, it is no candidate any more.
    fn can_be_met(&mut self, id: PackageId, candidate: VersionId) -> bool {
        let universe = self.universe;
        let can_be = |group: &[Dependency]| {
            let is = |dependency| {
                self.is_met(dependency, Which::Install) || self.is_met(dependency, Which::KnownCandidate)
            };
            !group[0].kind.is_critical() || group[0].kind.is_negative() || group.iter().any(is)
        };
        if self.current(id) == Some(candidate) || universe.groups(candidate).all(can_be) {
            return true;
        }
        let current = self.current(id);
        let state = self.of_mut(id);
        if !state.is_protected {
            state.candidate = current;
            if current.is_some() {
                state.known_candidate = current;
            }
            if state.mode != Mode::Remove {
                state.mode = Mode::Keep;
            }
        }
        false
    }

    fn change_to_candidate(&mut self, id: PackageId, by: By) {
        let current = self.current(id);
        let state = self.of_mut(id);
        if state.is_protected && state.install == state.candidate {
            return;
        }
        match by {
            By::User => state.is_automatic = false,
            By::Resolver if current.is_none() => state.is_automatic = true,
            By::Resolver => {}
        }
        let mode = if state.candidate == current { Mode::Keep } else { Mode::Install };
        let candidate = state.candidate;
        self.set(id, mode, candidate);
    }

    /// Marks a package; with `follow`, also what it needs. Answers whether all could be marked.
    pub(super) fn mark_install(&mut self, id: PackageId, follow: bool, depth: usize, by: By) -> bool {
        let current = self.current(id);
        let state = *self.of(id);
        let Some(candidate) = state.candidate else { return false };
        let only_follows = state.is_protected && state.mode == Mode::Keep && Some(candidate) == current;
        if !only_follows && !self.may_change(id, Mode::Install, depth, by) {
            return false;
        }
        if !state.is_protected && !self.is_broken(id) {
            if Some(candidate) == current {
                return state.install.is_some() || self.mark_keep(id, depth + 1, by);
            }
            if state.mode == Mode::Install {
                return true;
            }
        }
        if follow && !self.can_be_met(id, candidate) {
            return false;
        }
        if by == By::User {
            self.change_to_candidate(id, by);
        }
        let fail_early = !state.is_protected && by == By::Resolver;
        let mut rivals = Rivals::default();
        let mut wants = Vec::new();
        if follow {
            let violated;
            (wants, violated) = self.unmet(id, candidate);
            self.find_rivals(&violated, depth, by, state.is_protected, &mut rivals);
            if rivals.failed && fail_early {
                return false;
            }
            self.find_left_behind(id, candidate, &mut rivals.upgrade);
        }
        if by == By::Resolver {
            self.change_to_candidate(id, by);
        }
        if !follow {
            return true;
        }
        // what is decided below must not take this package away again
        self.of_mut(id).is_protected = true;
        let done = self.follow(id, &wants, rivals, depth, by, state.is_protected);
        self.of_mut(id).is_protected = state.is_protected;
        if !done && fail_early {
            self.discard_install(id);
        }
        done
    }

    fn follow(
        &mut self,
        id: PackageId,
        wants: &[&[Dependency]],
        rivals: Rivals,
        depth: usize,
        by: By,
        was_protected: bool,
    ) -> bool {
        let fail_early = !was_protected && by == By::Resolver;
        let mut done = !rivals.failed;
        self.upgrade_siblings(id, depth);
        for rival in rivals.upgrade {
            if self.of(rival).mode == Mode::Install || self.mark_install(rival, true, depth + 1, By::Resolver)
            {
                continue;
            }
            if !self.mark_remove(rival, depth + 1) {
                if fail_early {
                    return false;
                }
                done = false;
            } else if was_protected {
                self.of_mut(rival).is_protected = true;
            }
        }
        for group in wants {
            if !self.satisfy(group, depth, was_protected) {
                if fail_early {
                    return false;
                }
                done = false;
            }
        }
        for rival in rivals.remove {
            if !self.mark_remove(rival, depth) {
                if fail_early {
                    return false;
                }
                done = false;
            }
        }
        done
    }

    /// The candidate's critical dependencies that are not met as things stand, and the conflicts among them. For a package
    /// that is protected, all of them: what meets them is protected, too.
    fn unmet(&self, id: PackageId, candidate: VersionId) -> (Vec<&'a [Dependency]>, Vec<Dependency>) {
        let is_protected = self.of(id).is_protected;
        let (mut wants, mut violated) = (Vec::new(), Vec::new());
        let universe = self.universe;
        for group in universe.groups(candidate) {
            let kind = group[0].kind;
            if !kind.is_critical() || (!is_protected && self.is_group_met(group, Which::Install)) {
                continue;
            }
            if kind.is_negative() {
                violated.push(group[0]);
            } else {
                wants.push(group);
            }
        }
        (wants, violated)
    }

    /// What the conflicts of a package are with: candidates that are not taken then, installed versions that are
    /// upgraded if that helps, and removed if it does not.
    fn find_rivals(
        &mut self,
        violated: &[Dependency],
        depth: usize,
        by: By,
        was_protected: bool,
        rivals: &mut Rivals,
    ) {
        let stop_early = !was_protected && by == By::Resolver;
        let mut bad_candidates = Vec::new();
        for dependency in violated {
            for version in self.solutions(&[*dependency], Which::Candidate) {
                let id = self.package_of(version);
                if self.of(id).candidate != Some(version) {
                    continue;
                }
                if self.current(id) == Some(version) {
                    rivals.failed |= !self.must_go(id, depth, was_protected, rivals);
                } else if self.of(id).mode == Mode::Install && !self.mark_keep(id, depth, By::Resolver) {
                    rivals.failed = true;
                } else if was_protected {
                    self.discard_candidate(id);
                    if self.current(id).is_none() {
                        self.of_mut(id).is_protected = true;
                    }
                } else {
                    bad_candidates.push(id);
                }
                if rivals.failed && stop_early {
                    return;
                }
            }
            for version in self.solutions(&[*dependency], Which::Current) {
                let id = self.package_of(version);
                let candidate = self.of(id).candidate;
                if candidate.is_some() && candidate != Some(version) && !bad_candidates.contains(&id) {
                    rivals.upgrade.push(id);
                } else if candidate != self.current(id) {
                    rivals.failed |= !self.must_go(id, depth, was_protected, rivals);
                }
                if rivals.failed && stop_early {
                    return;
                }
            }
        }
    }

    /// An installed version has to go. Answers whether it may.
    fn must_go(&mut self, id: PackageId, depth: usize, was_protected: bool, rivals: &mut Rivals) -> bool {
        if was_protected {
            if self.of(id).mode != Mode::Remove && !self.mark_remove(id, depth + 1) {
                return false;
            }
            self.discard_candidate(id);
            self.of_mut(id).is_protected = true;
            return true;
        }
        if self.of(id).mode == Mode::Remove {
            return true;
        }
        if !self.may_change(id, Mode::Remove, depth, By::Resolver) || !self.may_remove(id) {
            return false;
        }
        rivals.remove.push(id);
        true
    }

    /// Installed packages that depend on the version that is installed, and not on the one to come.
    fn find_left_behind(&self, id: PackageId, candidate: VersionId, upgrade: &mut Vec<PackageId>) {
        let Some(current) = self.current(id) else { return };
        for other in &self.installed {
            if self.of(*other).mode == Mode::Install || upgrade.contains(other) {
                continue;
            }
            let Some(version) = self.current(*other) else { continue };
            let breaks = |dependency: &&Dependency| {
                dependency.target == id
                    && dependency.kind.is_critical()
                    && !dependency.kind.is_negative()
                    && self.means(dependency, current)
                    && !self.means(dependency, candidate)
            };
            if self.universe.dependencies(version).iter().find(breaks).is_some() {
                upgrade.push(*other);
            }
        }
    }

    /// Installed packages that were built from the same source go along.
    fn upgrade_siblings(&mut self, id: PackageId, depth: usize) {
        let Some(candidate) = self.of(id).candidate else { return };
        let source = |version: VersionId| {
            let version = self.universe.version(version);
            (self.universe.str(version.source_package), self.universe.str(version.source_version))
        };
        let goes_along = |other: &&PackageId| {
            let Some(version) = self.of(**other).candidate else { return false };
            **other != id
                && self.current(**other) != Some(version)
                && !(self.of(**other).mode == Mode::Install && self.of(**other).install == Some(version))
                && source(version) == source(candidate)
        };
        let siblings: Vec<PackageId> = self.installed.iter().filter(goes_along).copied().collect();
        for follow in [false, true] {
            for sibling in &siblings {
                self.mark_install(*sibling, follow, depth + 1, By::Resolver);
            }
        }
    }

    /// Marks something that meets one of the alternatives.
    fn satisfy(&mut self, group: &[Dependency], depth: usize, was_protected: bool) -> bool {
        if self.is_group_met(group, Which::Install) {
            return !was_protected || self.protect_the_only_solution(group, depth);
        }
        let solutions = self.solutions(group, Which::Candidate);
        for version in &solutions {
            let id = self.package_of(*version);
            if self.of(id).candidate != Some(*version) {
                continue;
            }
            if was_protected && solutions.len() == 1 {
                if !self.mark_install(id, false, depth + 1, By::Resolver) {
                    continue;
                }
                self.of_mut(id).is_protected = true;
            }
            if self.mark_install(id, true, depth + 1, By::Resolver) {
                return true;
            }
        }
        false
    }

    fn protect_the_only_solution(&mut self, group: &[Dependency], depth: usize) -> bool {
        let mut solutions = self.solutions(group, Which::Candidate);
        solutions.extend(self.solutions(group, Which::Current));
        solutions.sort();
        solutions.dedup();
        let [only] = solutions[..] else { return true };
        let id = self.package_of(only);
        if self.of(id).is_protected {
            return true;
        }
        self.of_mut(id).is_protected = true;
        self.mark_install(id, true, depth + 1, By::Resolver)
    }
}
