//! How versions are written.

/// What a text that is no version of Kubernetes must be.
pub(super) const FORM: &str = "must be a version such as \"1.34\" or \"1.34.2\"";

/// The two or three numbers of a version.
pub(super) fn numbers(text: &str) -> Result<(u16, u16, Option<u16>), &'static str> {
    let mut parts = text.split('.');
    let mut number = || parts.next().map(|part| decimal(part).ok_or(FORM)).transpose();
    match (number()?, number()?, number()?, number()?) {
        (Some(major), Some(minor), patch, None) => Ok((major, minor, patch)),
        _ => Err(FORM),
    }
}

/// A number as versions are written.
fn decimal(text: &str) -> Option<u16> {
    // `u16::from_str` takes "+1", and a leading zero would make two texts of one version.
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}
