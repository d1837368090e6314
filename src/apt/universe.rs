//! All packages that are known: those of the repositories and those of the base, in one arena.
//!
//! Packages, versions and relations are numbered. A number of a package is given when its name is first read,
//! be it as that of a stanza or in a field of another; apt does the same, and decides by it in the last resort.

use std::collections::HashMap;
use std::io::BufRead;
use std::ops::Range;

use reqwest::Url;

use super::control::{ControlError, Stanzas, is_yes};
use super::index::{Entry, Field, is_safe_path};
use super::relation::{self, Operator, Relation};
use super::version;
use crate::catalog::Digest;

/// A number of a [`Package`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PackageId(pub(super) u32);

/// A number of a [`Version`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct VersionId(pub(super) u32);

/// A slice of the arena's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    start: u32,
    length: u32,
}

/// Where packages come from: what a `Release` file and its address say of a repository.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// `Origin`
    pub origin: String,
    /// `Label`
    pub label: String,
    /// `Suite`
    pub suite: String,
    /// `Codename`
    pub codename: String,
    /// `Version`
    pub version: String,
    /// The component whose index it is; empty in a flat repository.
    pub component: String,
    /// The address that the paths of its packages start at; none for dpkg's status file.
    pub root: Option<Url>,
    /// `NotAutomatic`
    pub not_automatic: bool,
    /// `ButAutomaticUpgrades`
    pub but_automatic_upgrades: bool,
}

impl Source {
    /// Whether it is dpkg's status file.
    pub(super) fn is_status(&self) -> bool {
        self.root.is_none()
    }
}

/// What is needed of a name. One without versions is virtual, or not to be had at all.
#[derive(Debug, Clone, Default)]
pub(super) struct Package {
    pub(super) name: Box<str>,
    /// The latest first.
    pub(super) versions: Vec<VersionId>,
    pub(super) current: Option<VersionId>,
    pub(super) essential: bool,
    /// `Protected`, once `Important`: nearly as essential.
    pub(super) protected: bool,
    pub(super) held: bool,
    pub(super) providers: Vec<Provide>,
}

/// That a version provides another name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provide {
    pub(super) owner: VersionId,
    pub(super) version: Option<Text>,
}

/// A version of a package.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) package: PackageId,
    pub(super) version: Text,
    pub(super) source_package: Text,
    pub(super) source_version: Text,
    pub(super) priority: u8,
    /// `Multi-Arch: same`
    pub(super) is_same: bool,
    pub(super) is_all: bool,
    likeness: u64,
    /// Where it is to be had, in the order of the sources; the status file may be among them.
    pub(super) sources: Vec<u16>,
    /// The file in the first source that has one.
    pub(super) file: Option<FileOf>,
    relations: Range<u32>,
}

/// A package's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileOf {
    pub(super) source: u16,
    pub(super) path: Text,
    pub(super) size: u64,
    pub(super) sha256: Option<Digest>,
}

/// That a version wants another package, or its absence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dependency {
    pub(super) owner: VersionId,
    pub(super) target: PackageId,
    /// One of those that count for more than a name: `Pre-Depends` to `Suggests`.
    pub(super) kind: Field,
    pub(super) version: Option<(Operator, Text)>,
    /// The next dependency is an alternative to this one.
    pub(super) or: bool,
}

/// All packages that are known. Indices are added first, in the order of apt's list of sources, then the base's status.
pub struct Universe {
    pub(super) architecture: String,
    text: String,
    names: HashMap<Box<str>, PackageId>,
    pub(super) packages: Vec<Package>,
    pub(super) versions: Vec<Version>,
    dependencies: Vec<Dependency>,
    pub(super) sources: Vec<Source>,
}

impl Universe {
    /// An empty one, for machines of this architecture (in Debian's words, as `arm64`).
    #[must_use]
    pub fn new(architecture: &str) -> Self {
        Self {
            architecture: architecture.to_owned(),
            text: String::new(),
            names: HashMap::new(),
            packages: Vec::new(),
            versions: Vec::new(),
            dependencies: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Adds the packages of an index (`Packages`) whose digest was verified: those for this architecture or for
    /// all.
    ///
    /// # Errors
    /// What is damaged in it, and where.
    pub fn add_index(&mut self, index: impl BufRead, source: Source) -> Result<(), ControlError> {
        let number = self.add_source(source)?;
        let mut stanzas = Stanzas::new(index);
        while let Some(stanza) = stanzas.next()? {
            let entry = Entry::read(&stanza)?;
            if [self.architecture.as_str(), "all"].contains(&entry.get(Field::Architecture)) {
                self.add_version(&entry, number)?;
            }
        }
        Ok(())
    }

    pub(super) fn add_source(&mut self, source: Source) -> Result<u16, ControlError> {
        let number = u16::try_from(self.sources.len()).map_err(|_| ControlError::Full)?;
        self.sources.push(source);
        Ok(number)
    }

    /// Adds what a stanza says, and answers which version it is.
    pub(super) fn add_version(&mut self, entry: &Entry<'_>, source: u16) -> Result<VersionId, ControlError> {
        let number = entry.required(Field::Version)?;
        let name = entry.get(Field::Package);
        let package = self.intern(name)?;
        let likeness = entry.likeness();
        let (at, same) = self.place(package, number, likeness, source);
        let file = self.file(entry, source)?;
        let id = match same {
            Some(id) => {
                let version = &mut self.versions[id.0 as usize];
                if !version.sources.contains(&source) {
                    version.sources.push(source);
                }
                version.file = version.file.or(file);
                id
            }
            None => self.new_version(package, at, entry, likeness, (source, file))?,
        };
        let package = &mut self.packages[package.0 as usize];
        package.essential |= is_yes(entry.get(Field::Essential));
        // apt counts itself among what must not be removed
        package.protected |=
            is_yes(entry.get(Field::Protected)) || is_yes(entry.get(Field::Important)) || name == "apt";
        Ok(id)
    }

    /// Where a version belongs among those of its package, and which of them it is if it is known. Among equal
    /// ones that are not the same, the first source's stands first, and the status file's last.
    fn place(
        &self,
        package: PackageId,
        text: &str,
        likeness: u64,
        source: u16,
    ) -> (usize, Option<VersionId>) {
        let package = &self.packages[package.0 as usize];
        for (at, id) in package.versions.iter().enumerate() {
            let version = self.version(*id);
            match version::compare(text, self.str(version.version)) {
                std::cmp::Ordering::Greater => return (at, None),
                std::cmp::Ordering::Equal if version.likeness == likeness => return (at, Some(*id)),
                std::cmp::Ordering::Equal => {
                    let of_status = |number: u16| self.sources[usize::from(number)].is_status();
                    if !of_status(source) && version.sources.iter().all(|number| of_status(*number)) {
                        return (at, None);
                    }
                }
                std::cmp::Ordering::Less => {}
            }
        }
        (package.versions.len(), None)
    }

    fn new_version(
        &mut self,
        package: PackageId,
        at: usize,
        entry: &Entry<'_>,
        likeness: u64,
        (source, file): (u16, Option<FileOf>),
    ) -> Result<VersionId, ControlError> {
        let id = VersionId(u32::try_from(self.versions.len()).map_err(|_| ControlError::Full)?);
        let (source_package, source_version) = entry.source_package();
        let version = Version {
            package,
            version: self.store(entry.get(Field::Version))?,
            source_package: self.store(source_package)?,
            source_version: self.store(source_version)?,
            priority: entry.priority(),
            is_same: entry.get(Field::MultiArch) == "same",
            is_all: entry.get(Field::Architecture) == "all",
            likeness,
            sources: vec![source],
            file,
            relations: 0..0,
        };
        self.versions.push(version);
        self.packages[package.0 as usize].versions.insert(at, id);
        let first = self.dependencies.len();
        self.add_relations(id, entry)?;
        let end = u32::try_from(self.dependencies.len()).map_err(|_| ControlError::Full)?;
        self.versions[id.0 as usize].relations = u32::try_from(first).map_err(|_| ControlError::Full)?..end;
        Ok(id)
    }

    fn add_relations(&mut self, owner: VersionId, entry: &Entry<'_>) -> Result<(), ControlError> {
        let is_allowed = entry.get(Field::MultiArch) == "allowed";
        let mut relations: Vec<Relation<'_>> = Vec::new();
        for field in Field::RELATIONS {
            relations.clear();
            relation::parse(entry.get(field), &mut relations)
                .map_err(|what| entry.fault(format!("reading {}: {what}", field.name())))?;
            for relation in &relations {
                if field == Field::Provides {
                    self.provide(owner, relation, is_allowed)?;
                    continue;
                }
                let target = self.target(relation)?;
                if matches!(field, Field::Replaces | Field::Enhances) {
                    continue;
                }
                let version = match relation.version {
                    Some((operator, named)) => Some((operator, self.store(named)?)),
                    None => None,
                };
                self.dependencies.push(Dependency { owner, target, kind: field, version, or: relation.or });
            }
        }
        if is_allowed {
            let (package, version) = (self.version(owner).package, self.version(owner).version);
            let name = format!("{}:any", self.name(package));
            self.add_provider(&name, Provide { owner, version: Some(version) })?;
        }
        Ok(())
    }

    /// The package that a relation means. `name:any` is a name of its own, which those provide that allow it;
    /// one of a foreign architecture is another, which nobody provides here.
    fn target(&mut self, relation: &Relation<'_>) -> Result<PackageId, ControlError> {
        match relation.qualifier {
            None => self.intern(relation.name),
            Some(qualifier) if qualifier == "native" || qualifier == self.architecture => {
                // apt gives a number to the qualified name first
                self.intern(&format!("{}:{}", relation.name, self.architecture))?;
                self.intern(relation.name)
            }
            Some(qualifier) => self.intern(&format!("{}:{qualifier}", relation.name)),
        }
    }

    fn provide(
        &mut self,
        owner: VersionId,
        relation: &Relation<'_>,
        is_allowed: bool,
    ) -> Result<(), ControlError> {
        let version = match relation.version {
            Some((Operator::Equal, named)) => Some(self.store(named)?),
            None => None,
            // what provides a range provides nothing: apt and dpkg leave it out
            Some(_) => return Ok(()),
        };
        let provide = Provide { owner, version };
        match relation.qualifier {
            Some(qualifier) if qualifier != self.architecture => {
                return self.add_provider(&format!("{}:{qualifier}", relation.name), provide);
            }
            Some(_) => {}
            None if is_allowed => {
                self.add_provider(&format!("{}:any", relation.name), provide)?;
            }
            None => {}
        }
        self.add_provider(relation.name, provide)
    }

    fn add_provider(&mut self, name: &str, provide: Provide) -> Result<(), ControlError> {
        let package = self.intern(name)?;
        self.packages[package.0 as usize].providers.push(provide);
        Ok(())
    }

    fn file(&mut self, entry: &Entry<'_>, source: u16) -> Result<Option<FileOf>, ControlError> {
        let path = entry.get(Field::FileName);
        if path.is_empty() {
            return Ok(None);
        }
        if !is_safe_path(path) {
            return Err(entry.wrong(Field::FileName, "a path inside the repository"));
        }
        let file = entry.file()?;
        let (size, sha256) = file.map_or((0, None), |(size, digest)| (size, Some(digest)));
        Ok(Some(FileOf { source, path: self.store(path)?, size, sha256 }))
    }

    fn store(&mut self, text: &str) -> Result<Text, ControlError> {
        let start = u32::try_from(self.text.len()).map_err(|_| ControlError::Full)?;
        let length = u32::try_from(text.len()).map_err(|_| ControlError::Full)?;
        self.text.push_str(text);
        Ok(Text { start, length })
    }

    fn intern(&mut self, name: &str) -> Result<PackageId, ControlError> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        let id = PackageId(u32::try_from(self.packages.len()).map_err(|_| ControlError::Full)?);
        self.names.insert(name.into(), id);
        self.packages.push(Package { name: name.into(), ..Package::default() });
        Ok(id)
    }

    pub(super) fn find(&self, name: &str) -> Option<PackageId> {
        self.names.get(name).copied()
    }

    /// The version of a package that the base has.
    #[must_use]
    pub fn installed(&self, name: &str) -> Option<&str> {
        let current = self.find(name).and_then(|id| self.package(id).current)?;
        Some(self.version_text(current))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PackageId> + use<> {
        (0..self.packages.len()).map(|number| PackageId(number as u32))
    }

    pub(super) fn package(&self, id: PackageId) -> &Package {
        &self.packages[id.0 as usize]
    }

    pub(super) fn package_mut(&mut self, id: PackageId) -> &mut Package {
        &mut self.packages[id.0 as usize]
    }

    pub(super) fn version(&self, id: VersionId) -> &Version {
        &self.versions[id.0 as usize]
    }

    pub(super) fn name(&self, id: PackageId) -> &str {
        &self.package(id).name
    }

    pub(super) fn version_text(&self, id: VersionId) -> &str {
        self.str(self.version(id).version)
    }

    pub(super) fn str(&self, text: Text) -> &str {
        // what `store` gave out; empty rather than a panic if it is not
        let start = text.start as usize;
        self.text.get(start..start + text.length as usize).unwrap_or_default()
    }

    pub(super) fn dependencies(&self, version: VersionId) -> &[Dependency] {
        let range = &self.version(version).relations;
        &self.dependencies[range.start as usize..range.end as usize]
    }

    /// The dependencies of a version, alternatives together.
    pub(super) fn groups(&self, version: VersionId) -> impl Iterator<Item = &[Dependency]> {
        self.dependencies(version).split_inclusive(|dependency| !dependency.or)
    }

    /// A dependency as its field has it.
    pub(super) fn write(&self, dependency: &Dependency) -> String {
        match dependency.version {
            Some((operator, named)) => {
                format!("{} ({} {})", self.name(dependency.target), operator.sign(), self.str(named))
            }
            None => self.name(dependency.target).to_owned(),
        }
    }

    /// Alternatives as their field has them.
    pub(super) fn write_group(&self, group: &[Dependency]) -> String {
        group.iter().map(|dependency| self.write(dependency)).collect::<Vec<_>>().join(" | ")
    }
}
