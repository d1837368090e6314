//! A description with its secrets beside it: what every command that makes cards starts from.

mod error;
mod search;
mod upgrade;
mod warning;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cluster::{
    Cluster, KubernetesVersion, Node, OutOfSupport, Overrides, Platform, Radio, Secret, Software,
};
use crate::identity::{self, Fixed, Identity, Made, Snapshot, Store, kubelet_may_lag};
use crate::io::folder::{keeps_modes, parent};
use crate::io::{Surrounding, Waiting};
use crate::recipe::{self, Extras, Recipe};

pub use error::Error;
pub use search::{FILE, Place, STATE};
pub use upgrade::{MovedOn, Rewritten, Versions};
pub use warning::{Holds, Warning};

/// What is to change on each node's card, by the node's name.
pub type Recipes = BTreeMap<String, Recipe>;

/// A description with its secrets beside it.
#[derive(Debug)]
pub struct Project {
    /// What is asked.
    pub cluster: Cluster,
    /// Where it is.
    pub place: Place,
    /// Whether the number of nodes is another than the description's, as where one is added.
    pub is_resized: bool,
    store: Store,
    clock: i64,
    build_time: i64,
    begins_anew: bool,
    snapshot: Option<Snapshot>,
}

impl Project {
    /// Opens the description in `config` or, where none is given, the nearest one from this folder
    /// upwards; where there is none either, all defaults hold. Makes no secrets yet.
    pub fn open(config: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        let place = config.map_or_else(Place::search, Place::named)?;
        let cluster = Cluster::read(place.file.as_deref(), overrides)?;
        let clock = clock()?;
        let build_time = source_date_epoch()?.unwrap_or(clock);
        let store = Store::new(&place.state).of_description(place.name());
        let is_resized = overrides.nodes.is_some();
        Ok(Self { cluster, store, clock, build_time, place, is_resized, begins_anew: false, snapshot: None })
    }

    /// The same, where the control plane's card is asked for by name: with it the cluster begins anew, since
    /// all that node-1 knew is lost, and so it may be another than it was made as.
    #[must_use]
    pub fn begin_anew(mut self) -> Self {
        self.begins_anew = true;
        self
    }

    /// The same, where the control plane's card goes on with the copy of etcd at `path`: an archive, or a folder that
    /// `pibake backup` made.
    pub fn restoring(mut self, path: &Path) -> Result<Self, Error> {
        let missing =
            || Error::NothingToRestore { state: self.store.dir().to_owned(), copy: path.to_owned() };
        let identity = self.existing_identity()?.ok_or_else(missing)?;
        self.snapshot = Some(Snapshot::read(path, &identity, self.store.dir())?);
        Ok(self)
    }

    /// The copy of etcd that the control plane's card goes on with.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The setting that a cluster which begins anew has otherwise than its cards that are there.
    pub fn changed(&self) -> Result<Option<Fixed>, Error> {
        let made = self.existing_identity()?.and_then(|identity| identity.made);
        Ok(made.and_then(|made| made.changed(&self.cluster)))
    }

    /// What is allowed but probably not meant, in the description and around it. `outside` is what this
    /// machine reaches.
    pub fn warnings(&self, outside: &[Surrounding]) -> Vec<Warning> {
        let cluster = self.cluster.warnings().into_iter().chain(self.cluster.overlaps_with(outside));
        let mut warnings: Vec<_> = cluster.map(Warning::Cluster).collect();
        let keys = self.cluster.secret_keys();
        let description = self.place.file.as_deref().filter(|_| !keys.is_empty());
        let extra = self.cluster.cloud_init_extra.as_deref().filter(|file| may_hold_password(file));
        let files = description.map(|file| (file, Holds::Keys(keys))).into_iter();
        let files = files.chain(self.cluster.secret_files().map(|file| (file, Holds::Password)));
        let keys = self.cluster.network.radio().into_iter().flat_map(Radio::private_keys);
        let files = files.chain(keys.map(|file| (file, Holds::PrivateKey)));
        for (file, holds) in files.chain(extra.map(|file| (file, Holds::PerhapsPassword))) {
            let Ok(found) = file.metadata() else { continue };
            let mode = found.mode() & 0o777;
            if found.is_file() && mode & 0o044 != 0 {
                let fixable = keeps_modes(parent(file)).unwrap_or(true);
                warnings.push(Warning::Readable { file: file.to_owned(), holds, mode, fixable });
            }
        }
        warnings
    }

    /// That the folder which secrets would be made in keeps modes; one that cannot be written is told by
    /// whoever makes them.
    pub fn check_folder(&self) -> Result<(), Error> {
        match keeps_modes(&self.place.dir) {
            Ok(false) => Err(identity::Error::NoModes { dir: self.place.dir.clone() }.into()),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    /// Whether there are no secrets yet, so that the next build makes them, and with them a new cluster.
    pub fn is_new(&self) -> Result<bool, Error> {
        Ok(!self.store.exists()?)
    }

    /// Says where a wait for another pibake that makes or changes the secrets is told, and what ends it.
    #[must_use]
    pub fn waiting(mut self, waiting: Waiting) -> Self {
        self.store.set_waiting(waiting);
        self
    }

    /// The secrets, made once where there are none yet. Certificates begin at the clock's time and
    /// never at `SOURCE_DATE_EPOCH`: keys are random anyhow, and those of 1970 would have expired.
    pub fn identity(&self) -> Result<Identity, Error> {
        Ok(self.store.open(&self.cluster, self.clock)?)
    }

    /// The secrets, if there are some already; makes nothing.
    pub fn existing_identity(&self) -> Result<Option<Identity>, Error> {
        Ok(self.store.peek(&self.cluster, self.clock)?)
    }

    /// What is to change on each node's card, over an image of `platform`; makes the secrets
    /// where there are none yet.
    pub fn recipes(&self, platform: &Platform) -> Result<Recipes, Error> {
        let extras = Extras { snapshot: self.snapshot.clone(), ..Extras::load(&self.cluster)? };
        // A description that cannot be built is refused before anything is made.
        let (cluster, _) = self.settled(platform)?;
        let identity = self.identity()?;
        let of = |node| recipe::recipe(&cluster, &identity, node, platform, &extras);
        cluster.nodes.iter().map(|node| Ok((node.name.to_string(), of(node)?))).collect()
    }

    /// Writes down what the cluster over an image of `platform` is made with, where that is not known yet. Before the
    /// first card stands, or one could stand of which nothing is known.
    pub fn record(&self, platform: &Platform) -> Result<(), Error> {
        if self.existing_identity()?.is_some_and(|identity| identity.made.is_none()) {
            self.store.record(&self.made(platform)?)?;
        }
        Ok(())
    }

    /// The same where the control plane was made anew, and may be another than the one before. Once its card or image
    /// stands: until then the cluster that runs is what it was.
    pub fn record_anew(&self, platform: &Platform) -> Result<(), Error> {
        if !self.begins_anew && self.snapshot.is_none() {
            return Ok(());
        }
        let made = self.made(platform)?;
        let is_same = |old: &Made| Made { created: made.created, ..old.clone() } == made;
        if !self.existing_identity()?.and_then(|identity| identity.made).as_ref().is_some_and(is_same) {
            self.store.record(&made)?;
        }
        Ok(())
    }

    fn made(&self, platform: &Platform) -> Result<Made, Error> {
        let (cluster, software) = self.settled(platform)?;
        Ok(Made::of(&cluster, platform, &software, self.clock))
    }

    /// What is to change on one node's card, as it would be baked now; `None` where there are no secrets yet. Makes
    /// nothing.
    pub fn recipe(&self, node: &Node, platform: &Platform) -> Result<Option<Recipe>, Error> {
        let Some(identity) = self.existing_identity()? else { return Ok(None) };
        let extras = Extras { snapshot: self.snapshot.clone(), ..Extras::load(&self.cluster)? };
        let (cluster, _) = self.settled(platform)?;
        Ok(Some(recipe::recipe(&cluster, &identity, node, platform, &extras)?))
    }

    /// What is to change on one node's card, with every secret masked; makes nothing.
    pub fn preview(&self, node: &Node, platform: &Platform) -> Result<Recipe, Error> {
        let extras = Extras::load(&self.cluster)?;
        let (cluster, _) = self.settled(platform)?;
        let identity = self.existing_identity()?;
        Ok(recipe::preview(&cluster, identity.as_ref(), node, platform, &extras)?)
    }

    /// What would change on one node's card, secrets and all; `None` where no secrets have been made yet. Makes nothing.
    pub fn known_recipe(&self, node: &Node, platform: &Platform) -> Result<Option<Recipe>, Error> {
        let extras = Extras::load(&self.cluster)?;
        let (cluster, _) = self.settled(platform)?;
        let recipe = |identity| recipe::recipe(&cluster, &identity, node, platform, &extras);
        Ok(self.existing_identity()?.map(recipe).transpose()?)
    }

    /// What of the cards over an image of `platform` is out of support.
    pub fn out_of_support(&self, platform: &Platform) -> Result<Option<OutOfSupport>, Error> {
        // Of what is written, which can be changed, and not of what a running cluster was made with.
        Ok(self.cluster.out_of_support(platform, &self.software(platform)?, self.clock))
    }

    /// What runs on every card over an image of `platform`.
    pub fn software(&self, platform: &Platform) -> Result<Software, Error> {
        Ok(self.settled(platform)?.1)
    }

    /// The cluster as it can be built over an image of `platform` now: of one that was made before, with
    /// the Kubernetes that it was made with, or the newest older one that goes with it and runs there.
    fn settled(&self, platform: &Platform) -> Result<(Cluster, Software), Error> {
        let mut cluster = self.cluster.clone();
        let made = self.existing_identity()?.and_then(|identity| identity.made);
        let software = |cluster: &Cluster| Ok(cluster.software(platform).map_err(recipe::Error::from)?);
        let Some(made) = made else {
            let software = software(&cluster)?;
            return Ok((cluster, software));
        };
        let state = || self.store.dir().to_owned();
        if let Some(fixed) = made.changed(&cluster).filter(|_| !self.begins_anew) {
            return Err(Error::Fixed { fixed, state: state() });
        }
        if let Some(snapshot) = &self.snapshot {
            let copied = snapshot.kubernetes;
            let settled = cluster.kubernetes.version.unwrap_or(made.kubernetes);
            let settled = Some(settled).filter(|v| v.minor == copied.minor);
            if let Some(asked) = cluster.kubernetes.version.filter(|_| settled.is_none()) {
                return Err(Error::OtherVersion { asked, copied });
            }
            cluster.kubernetes.version = settled.or(Some(KubernetesVersion::minor(copied.minor)));
            let software = software(&cluster)?;
            return Ok((cluster, software));
        }
        let server = made.kubernetes;
        let oldest = server.minor.saturating_sub(kubelet_may_lag(server));
        if self.begins_anew && cluster.kubernetes.version.is_some() {
            let software = software(&cluster)?;
            return Ok((cluster, software));
        }
        if let Some(asked) = cluster.kubernetes.version {
            let skew = |fault, advice| Error::Skew { asked, made: server, fault, advice, state: state() };
            if asked.minor > server.minor {
                return Err(skew(
                    "newer",
                    "a kubelet must never be newer than the API server. Leave the version out, or upgrade the running \
                     cluster: pibake upgrade --kubernetes VERSION",
                ));
            }
            if asked.minor < oldest {
                return Err(skew(
                    "too much older",
                    "leave the version out, and new nodes get what the cluster has",
                ));
            }
            let software = software(&cluster)?;
            return Ok((cluster, software));
        }
        cluster.kubernetes.version = Some(server);
        let refused = match software(&cluster) {
            Ok(software) => return Ok((cluster, software)),
            Err(error) => error,
        };
        for minor in (oldest..server.minor).rev() {
            cluster.kubernetes.version = Some(KubernetesVersion::minor(minor));
            if let Ok(software) = software(&cluster) {
                return Ok((cluster, software));
            }
        }
        Err(refused)
    }

    /// Gives a node a new token, and returns it.
    pub fn renew_token(&self, node: &Node) -> Result<Secret, Error> {
        Ok(self.store.renew_token(&self.cluster, node.number, self.clock)?)
    }

    /// What the clock said when this was opened, in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.clock
    }

    /// Where the secrets are kept.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The time that goes into what is built, in seconds since 1970: `SOURCE_DATE_EPOCH`
    /// (reproducible-builds.org/specs/source-date-epoch) or else the clock.
    #[must_use]
    pub fn build_time(&self) -> i64 {
        self.build_time
    }
}

/// Whether cloud-config seems to have a password in it, or its hash.
fn may_hold_password(file: &Path) -> bool {
    let mut text = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(1 << 20).read_to_end(&mut text));
    read.is_ok()
        && ["passw", "chpasswd", "secret", "token"]
            .iter()
            .any(|word| String::from_utf8_lossy(&text).to_lowercase().contains(word))
}

fn source_date_epoch() -> Result<Option<i64>, Error> {
    match std::env::var_os("SOURCE_DATE_EPOCH").map(|v| v.to_string_lossy().into_owned()) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(seconds @ 0..) => Ok(Some(seconds)),
            _ => Err(Error::Epoch(text)),
        },
    }
}

/// What this machine's clock says, in seconds since 1970.
///
/// # Errors
/// [`Error::Clock`]
pub fn clock() -> Result<i64, Error> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Error::Clock)?;
    i64::try_from(since.as_secs()).map_err(|_| Error::Clock)
}
