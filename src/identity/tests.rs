//! Identities as a whole.
