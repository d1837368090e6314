//! From the network: asked for patiently, resumed where it was cut off.

pub(crate) mod answer;
pub(crate) mod download;
pub(crate) mod http;
pub(crate) mod missing;
pub(crate) mod reply;

pub(crate) use download::{Download, Place};
