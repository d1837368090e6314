//! Made-up distributions: suites with packages that depend on, conflict with and provide each other in every way
//! that apt knows, and a base that has some of them installed.

use std::fmt::Write;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use sha2::{Digest, Sha256};
use support::noise::{Noise, noise};

/// From the earliest to the latest.
pub const VERSIONS: [&str; 6] = ["0.9~rc1-1", "0.9-1", "0.9-1+deb12u1", "0.10-1", "1:0.2-1", "1:0.2-1.1"];

const PACKAGES: usize = 36;
const VIRTUAL: usize = 5;

/// A suite's Release fields, and its index.
pub struct Suite {
    pub name: &'static str,
    pub not_automatic: bool,
    pub but_automatic_upgrades: bool,
    pub packages: String,
}

/// A version of a package, as far as the base must know it to be sound.
struct Made {
    name: String,
    version: usize,
    /// The stanza without what only an index has.
    stanza: String,
    wants: Vec<Vec<Target>>,
    hates: Vec<Target>,
    provides: Vec<(String, Option<usize>)>,
}

#[derive(Clone)]
struct Target {
    name: String,
    version: Option<(&'static str, usize)>,
}

pub struct World {
    pub suites: Vec<Suite>,
    pub status: String,
    pub preferences: String,
    random: Noise,
}

impl Target {
    fn text(&self) -> String {
        match self.version {
            Some((operator, version)) => format!("{} ({operator} {})", self.name, VERSIONS[version]),
            None => self.name.clone(),
        }
    }

    fn holds(&self, version: Option<usize>) -> bool {
        match (self.version, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((operator, named)), Some(version)) => match operator {
                "<<" => version < named,
                "<=" => version <= named,
                "=" => version == named,
                ">=" => version >= named,
                _ => version > named,
            },
        }
    }

    fn is_met_by(&self, made: &Made) -> bool {
        let provided = made.provides.iter().any(|(name, version)| *name == self.name && self.holds(*version));
        provided || (made.name == self.name && self.holds(Some(made.version)))
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = noise(seed);
        let mut suites = ["stable", "backports", "experimental"].map(|name| Suite {
            name,
            not_automatic: name != "stable",
            but_automatic_upgrades: name == "backports",
            packages: String::new(),
        });
        let mut installed: Vec<Made> = Vec::new();
        for package in 0..PACKAGES {
            let mut versions: Vec<usize> = (0..VERSIONS.len()).collect();
            let count = *[1, 1, 2, 2, 3].choose(&mut random).unwrap();
            let mut chosen: Vec<Made> = Vec::new();
            for _ in 0..count {
                let version = versions.remove(random.random_range(0..versions.len()));
                chosen.push(make(package, version, &mut random));
            }
            for made in &chosen {
                let weights = [0, 0, 0, 0, 1, 1, 2];
                let suite = &mut suites[*weights.choose(&mut random).unwrap()];
                writeln!(suite.packages, "{}{}\n", made.stanza, file(made)).unwrap();
            }
            // some of the base's versions are in no suite any more
            if random.random_bool(0.2) {
                let version = versions.remove(random.random_range(0..versions.len()));
                chosen.push(make(package, version, &mut random));
            }
            let candidate = chosen.swap_remove(random.random_range(0..chosen.len()));
            if random.random_bool(0.6) && is_sound(&candidate, &installed) {
                installed.push(candidate);
            }
        }
        let mut status = String::new();
        for made in &installed {
            let want = if random.random_bool(0.06) { "hold" } else { "install" };
            writeln!(status, "{}Status: {want} ok installed\n", made.stanza).unwrap();
        }
        let preferences = (0..random.random_range(0..4)).map(|_| pin(&mut random)).collect();
        Self { suites: suites.into(), status, preferences, random }
    }

    /// What somebody may ask for.
    pub fn requests(&mut self) -> Vec<String> {
        let random = &mut self.random;
        let mut names: Vec<String> = Vec::new();
        for _ in 0..*[1, 1, 1, 2, 3].choose(random).unwrap() {
            let name = match random.random_bool(0.06) {
                true => format!("v{}", random.random_range(0..VIRTUAL)),
                false => name(random.random_range(0..PACKAGES)),
            };
            if names.iter().any(|other| other.split('=').next() == Some(name.as_str())) {
                continue;
            }
            let version = VERSIONS.choose(random).unwrap();
            names.push(match random.random_range(0..10) {
                0 => format!("{name}={version}"),
                1 => format!("{name}={}*", &version[..3]),
                _ => name,
            });
        }
        names
    }
}

/// Not in the order of their numbers: nothing may hang on that.
fn name(package: usize) -> String {
    format!("{}{package}", ["q", "b", "x", "lib", "a"][package % 5])
}

fn is_sound(made: &Made, installed: &[Made]) -> bool {
    let others = || installed.iter().chain([made]);
    made.wants.iter().all(|group| group.iter().any(|target| others().any(|other| target.is_met_by(other))))
        && !made.hates.iter().any(|target| installed.iter().any(|other| target.is_met_by(other)))
        && !installed.iter().any(|other| other.hates.iter().any(|target| target.is_met_by(made)))
}

fn target(package: usize, random: &mut impl Rng) -> Target {
    let name = match random.random_range(0..20) {
        0..3 => format!("v{}", random.random_range(0..VIRTUAL)),
        // mostly one that was made before, so that there are bases
        3..17 if package > 0 => name(random.random_range(0..package)),
        17 if random.random_bool(0.3) => "missing".to_owned(),
        _ => name(random.random_range(0..PACKAGES)),
    };
    // mostly what the most packages can be: not before an early version, or not after a late one
    let version = random.random_bool(0.35).then(|| match random.random_range(0..10) {
        0..6 => (">=", random.random_range(0..3)),
        6 | 7 => ("<=", random.random_range(3..VERSIONS.len())),
        _ => (*["<<", "=", ">>"].choose(random).unwrap(), random.random_range(0..VERSIONS.len())),
    });
    Target { name, version }
}

fn make(package: usize, version: usize, random: &mut impl Rng) -> Made {
    let name = name(package);
    let mut stanza = format!("Package: {name}\n");
    if random.random_bool(0.2) {
        let source = random.random_range(0..4);
        writeln!(stanza, "Source: source{source}").unwrap();
    }
    let architecture = if random.random_bool(0.3) { "all" } else { "arm64" };
    writeln!(stanza, "Version: {}\nArchitecture: {architecture}", VERSIONS[version]).unwrap();
    writeln!(stanza, "Maintainer: the tests <root@localhost>\nInstalled-Size: {}", random.random_range(1..9))
        .unwrap();
    let multi_arch = *["", "", "same", "foreign", "allowed"].choose(random).unwrap();
    if !(multi_arch.is_empty() || multi_arch == "same" && architecture == "all") {
        writeln!(stanza, "Multi-Arch: {multi_arch}").unwrap();
    }
    let priority =
        *["required", "important", "standard", "optional", "optional", "extra"].choose(random).unwrap();
    writeln!(stanza, "Priority: {priority}").unwrap();
    for (field, odds) in [("Essential", 0.03), ("Protected", 0.03)] {
        if random.random_bool(odds) {
            writeln!(stanza, "{field}: yes").unwrap();
        }
    }
    let mut wants = Vec::new();
    for (field, most, odds) in
        [("Pre-Depends", 1, 0.1), ("Depends", 3, 0.7), ("Recommends", 1, 0.2), ("Suggests", 1, 0.2)]
    {
        if !random.random_bool(odds) {
            continue;
        }
        let groups: Vec<Vec<Target>> = (0..random.random_range(1..=most))
            .map(|_| (0..*[1, 1, 2, 3].choose(random).unwrap()).map(|_| target(package, random)).collect())
            .collect();
        let text = groups.iter().map(|group| {
            let texts: Vec<String> = group.iter().map(Target::text).collect();
            // a qualifier does not change what is meant where there is one architecture
            let texts = texts.join(" | ");
            if random.random_bool(0.05) {
                texts.replacen(&group[0].name, &format!("{}:arm64", group[0].name), 1)
            } else {
                texts
            }
        });
        writeln!(stanza, "{field}: {}", text.collect::<Vec<_>>().join(", ")).unwrap();
        if field.ends_with("Depends") {
            wants.extend(groups);
        }
    }
    let mut hates = Vec::new();
    for (field, odds) in [("Conflicts", 0.08), ("Breaks", 0.12), ("Replaces", 0.2)] {
        if random.random_bool(odds) {
            let mut target = target(package, random);
            if field == "Breaks" && target.version.is_none() {
                target.version = Some(("<<", random.random_range(0..VERSIONS.len())));
            }
            writeln!(stanza, "{field}: {}", target.text()).unwrap();
            // a package does not conflict with itself
            if field != "Replaces" && target.name != name {
                hates.push(target);
            }
        }
    }
    let mut provides = Vec::new();
    if random.random_bool(0.3) {
        let provided = format!("v{}", random.random_range(0..VIRTUAL));
        let number = random.random_bool(0.5).then(|| random.random_range(0..VERSIONS.len()));
        let text = number.map(|number| format!(" (= {})", VERSIONS[number])).unwrap_or_default();
        writeln!(stanza, "Provides: {provided}{text}").unwrap();
        provides.push((provided, number));
    }
    // what conflicts with what it provides itself conflicts with the others that do
    hates.retain(|target| !provides.iter().any(|(name, _)| *name == target.name));
    writeln!(stanza, "Description: made up").unwrap();
    Made { name, version, stanza, wants, hates, provides }
}

fn file(made: &Made) -> String {
    let file = format!("{}_{}.deb", made.name, VERSIONS[made.version]);
    let digest = hex::encode(Sha256::digest(format!("{file}{}", made.stanza)));
    format!("Filename: ./{file}\nSize: {}\nSHA256: {digest}\n", 1000 + made.version)
}

fn pin(random: &mut impl Rng) -> String {
    let version = VERSIONS.choose(random).unwrap();
    let what = match random.random_range(0..7) {
        0 | 1 => format!("version {version}"),
        2 => format!("version {}*", &version[..3]),
        3 => "release a=backports".to_owned(),
        4 => "release n=experimental".to_owned(),
        5 => "release o=test, l=test".to_owned(),
        _ => "release a=now".to_owned(),
    };
    let number = random.random_range(0..PACKAGES);
    let package = match random.random_range(0..6) {
        0 if !what.starts_with("version") => "*".to_owned(),
        1 => "lib*".to_owned(),
        2 => "/^[ab]/".to_owned(),
        3 => format!("src:source{}", number % 4),
        _ => format!("{} {}", name(number), name((number + 7) % PACKAGES)),
    };
    let priority = [-1, 50, 100, 450, 600, 990, 1001].choose(random).unwrap();
    format!("Package: {package}\nPin: {what}\nPin-Priority: {priority}\n\n")
}
