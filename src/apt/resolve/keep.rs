//! Drops new packages that nobody needs in the end: marked for an alternative that did not work out.

use super::super::universe::{PackageId, VersionId};
use super::super::version;
use super::state::{States, Which};

impl States<'_> {
    /// Takes back what is new and that nothing needs which the user asked for or which stays on the base.
    pub(super) fn drop_needless(&mut self) {
        let needed = self.needed();
        let is_needless = |id: &PackageId| self.is_new(*id) && !needed[id.0 as usize];
        let dropped: Vec<PackageId> = self.universe.ids().filter(is_needless).collect();
        for id in dropped {
            self.mark_remove(id, 0);
        }
    }

    fn is_new(&self, id: PackageId) -> bool {
        self.current(id).is_none() && self.of(id).install.is_some()
    }

    /// What is asked for or stays on the base, and what that names; suggestions count, as they do for apt.
    fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.states.len()];
        let is_there = |id: &PackageId| self.of(*id).install.is_some();
        let is_root = |id: &PackageId| {
            let package = self.universe.package(*id);
            !self.is_new(*id)
                || !self.of(*id).is_automatic
                || package.essential
                || package.protected
                || package.held
                || self.of(*id).is_protected
        };
        let mut next: Vec<PackageId> = self.universe.ids().filter(is_there).filter(is_root).collect();
        while let Some(id) = next.pop() {
            if std::mem::replace(&mut needed[id.0 as usize], true) {
                continue;
            }
            let Some(version) = self.of(id).install else { continue };
            let dependencies = self.universe.dependencies(version).iter().filter(|d| !d.kind.is_negative());
            for dependency in dependencies {
                let found: Vec<VersionId> = self.meant(dependency, Which::Install).collect();
                let needed =
                    found.iter().filter(|one| !found.iter().any(|other| self.supersedes(*other, **one)));
                next.extend(needed.map(|version| self.universe.version(*version).package));
            }
        }
        needed
    }

    /// Whether both are of one source package, and `other` of a later version of it: of those that provide the same,
    /// apt keeps the latest.
    fn supersedes(&self, other: VersionId, one: VersionId) -> bool {
        let [other, one] = [other, one].map(|version| self.universe.version(version));
        let [other_version, version] = [other, one].map(|version| self.universe.str(version.source_version));
        self.universe.str(other.source_package) == self.universe.str(one.source_package)
            && version::compare(other_version, version).is_gt()
    }
}
