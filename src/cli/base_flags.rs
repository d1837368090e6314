//! The flags that say how a base image is got and what is believed of it, and how long a bad network is put up with.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use crate::base::Patience;
use crate::catalog::Digest;
use crate::workflow::BaseRequest;

/// Shared by every command that needs a base image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Getting the base image")]
pub(super) struct BaseFlags {
    /// The SHA-256 of the base image as it was published; trusted instead of a SHA256SUMS file
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Digest>,
    /// Accept a downloaded base image that has neither a signature nor a checksum
    #[arg(long)]
    insecure_base: bool,
    /// The most GiB that the base image may unpack to [default: what its release or packed size makes likely]
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u64).range(1..=65536))]
    max_base_size: Option<u64>,
    #[command(flatten)]
    network: NetworkFlags,
}

/// Shared by every command that fetches something large.
#[derive(Debug, Args)]
pub(super) struct NetworkFlags {
    /// How many attempts in a row may bring no progress before a download fails
    #[arg(long, value_name = "N", default_value = "6")]
    network_tries: NonZeroU32,
    /// How many seconds a server may stay silent
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    network_timeout: u64,
}

impl NetworkFlags {
    /// What they ask for.
    pub(super) fn patience(&self) -> Patience {
        Patience { attempts: self.network_tries.get(), stall: Duration::from_secs(self.network_timeout) }
    }
}

impl BaseFlags {
    /// How long a bad network is put up with.
    pub(super) fn patience(&self) -> Patience {
        self.network.patience()
    }

    /// What these flags ask for. `offline`: from the cache or this machine's files alone.
    pub(super) fn request(&self, offline: bool) -> BaseRequest {
        BaseRequest {
            sha256: self.sha256,
            insecure: self.insecure_base,
            max_raw_len: self.max_base_size.map(|gib| gib << 30),
            offline,
            patience: self.patience(),
            ..BaseRequest::default()
        }
    }
}
