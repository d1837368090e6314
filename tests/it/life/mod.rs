//! The life of a cluster after its first boot.

mod certificates;
mod machine;
