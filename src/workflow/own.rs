//! What pibake itself needs of this machine.

use std::path::{Path, PathBuf};

use crate::base::Cache;
use crate::drives::Own;
use crate::project::{self, Place};

/// What pibake itself needs: no drive with any of it is ever written. `config` is the description that was named.
pub fn own(config: Option<&Path>) -> Vec<Own> {
    let mut own = Vec::new();
    // One that cannot be used is told by whoever opens it.
    if let Ok(place) = config.map_or_else(Place::search, Place::named) {
        let file = place.file.unwrap_or_else(|| place.dir.join(project::FILE));
        own.push(Own { what: "the description of the cluster", path: absolute(&file) });
        own.push(Own { what: "the cluster's secrets", path: absolute(&place.state) });
    }
    if let Ok(cache) = Cache::default_dir() {
        own.push(Own { what: "pibake's cache", path: cache });
    }
    if let Ok(program) = std::env::current_exe() {
        own.push(Own { what: "pibake itself", path: program });
    }
    own
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
