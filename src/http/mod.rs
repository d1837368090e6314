//! HTTP, asked for patiently and resumed where it was cut off: one mechanism for whatever is fetched.

mod advice;
mod agent;
mod answer;
mod backoff;
mod download;
mod error;
mod login;
mod patience;
mod place;
mod reply;
pub(crate) mod space;
#[cfg(test)]
mod tests;
mod web_page;

pub use advice::Purpose;
pub(crate) use agent::{Agent, file_name};
pub(crate) use download::{Download, Stop};
pub use error::{Error, Result};
pub(crate) use login::{Access, Answer, Login};
pub use patience::Patience;
pub(crate) use place::Place;
pub(crate) use web_page::is_web_page;
