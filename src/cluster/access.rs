//! Who may log in.

use super::Secret;

/// Who may log in on the nodes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The login name.
    pub user: String,
    /// Public keys that may log in, each a line as in `authorized_keys`. Where there is none,
    /// [`crate::identity::Identity::authorized_keys`] gives the pair made for the cluster.
    pub ssh_keys: Vec<String>,
    /// The login's password on console and for sudo; none by default.
    pub password: Option<Password>,
    /// Whether sshd takes the password too.
    pub ssh_password: bool,
    /// How long a node that has not joined yet may still do so, counted from the control plane's
    /// first start.
    pub token_ttl: Ttl,
    /// How long the administrator's certificate is good; without an end it is until the CA's.
    pub admin_ttl: Ttl,
}

/// How long something is good: a bootstrap token, a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(Option<u32>);

impl Ttl {
    /// So many hours.
    pub(super) const fn hours(hours: u32) -> Self {
        Self(Some(hours))
    }

    /// Without an end.
    pub const NEVER: Self = Self(None);

    /// As Go's `time.ParseDuration` takes it, and kubeadm with it: `0s` is without an end.
    pub(crate) fn to_go(self) -> String {
        self.0.map_or_else(|| "0s".to_owned(), |hours| format!("{hours}h"))
    }

    /// Seconds; `None` without an end.
    #[must_use]
    pub fn seconds(self) -> Option<i64> {
        self.0.map(|hours| i64::from(hours) * 3600)
    }
}

impl std::str::FromStr for Ttl {
    type Err = &'static str;

    /// Takes `90d`, `36h` and `never`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be a number of days or hours such as \"90d\" or \"36h\", or \"never\"";
        /// A hundred years: Go's durations end at 292.
        const MOST: u32 = 100 * 366 * 24;
        if text == "never" {
            return Ok(Self::NEVER);
        }
        let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(FORM)?;
        let factor = match unit {
            "d" => 24,
            "h" => 1,
            _ => return Err(FORM),
        };
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
        let hours = number.and_then(|n| n.checked_mul(factor)).ok_or(FORM)?;
        if (1..=MOST).contains(&hours) { Ok(Self::hours(hours)) } else { Err(FORM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_hours_or_never() {
        let go = |text: &str| text.parse::<Ttl>().map(Ttl::to_go);
        assert_eq!(go("90d").as_deref(), Ok("2160h"));
        assert_eq!(go("36h").as_deref(), Ok("36h"));
        assert_eq!(go("never").as_deref(), Ok("0s"));
        for bad in ["", "d", "0d", "0", "90", "-1d", "+1d", "1w", "1.5d", "99999999999d", "4294967295d", "9ü"]
        {
            assert!(go(bad).is_err(), "{bad}");
        }
    }
}

/// A password as the user gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// In clear; only its hash gets on a card.
    Plain(Secret),
    /// As crypt(3) keeps it: `$6$…` and the like.
    Hash(Secret),
}
