//! From the network: asked for patiently, resumed where it was cut off.

pub(crate) mod advice;
mod answer;
mod download;
pub(crate) mod http;
pub(crate) mod missing;
mod reply;

pub(crate) use download::Download;
