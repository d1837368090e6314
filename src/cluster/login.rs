//! Which login names are free on a node.

use std::collections::{BTreeMap, BTreeSet};

use super::Cluster;
use super::problem::Problem;

/// Accounts that Ubuntu's server images for Pis (20.04 to 26.04) have, or that the packages which
/// every node installs create: of base-passwd's `passwd.master` and `group.master`, of systemd,
/// and of the packages in the images' manifests. useradd refuses the name of a user, and of a
/// group too, since it makes one of the same name.
const TAKEN: &str = "\
_apt _chrony _flatpak _ssh adm audio backup bin cdrom clock crontab daemon dhcpcd dhcpd dialout dip disk \
dnsmasq fax floppy fwupd-refresh games gnats input irc kmem kvm landscape list lp lxd mail man messagebus \
netdev news nobody nogroup operator plugdev polkitd pollinate proxy rdma render root sasl sgx shadow src \
ssh sshd staff sudo sync sys syslog tape tcpdump tss tty usbmux users utmp uucp uuidd video voice www-data";

/// A login name as useradd and cloud-init take it, and that no image is known to have.
pub(super) fn user(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    // 32: LOGIN_NAME_MAX of useradd.
    if !first || text.len() > 32 || !text.bytes().all(good) {
        return Err("must be 1 to 32 lower case letters, digits, '_', '-', beginning with a letter".into());
    }
    if text == "root" {
        return Err("must not be \"root\": Ubuntu's images lock that login".to_owned());
    }
    // systemd keeps the prefix for accounts of its own services.
    if TAKEN.split(' ').any(|taken| taken == text) || text.starts_with("systemd-") {
        return Err(format!(
            "must not be {text:?}: the image has a system user or group of that name, so no login can be \
             made with it; take another"
        ));
    }
    Ok(text.to_owned())
}

/// The users and groups that an image has before anything is changed on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Each user with its number.
    users: BTreeMap<String, u32>,
    groups: BTreeSet<String>,
}

impl Accounts {
    /// Reads the texts of `/etc/passwd` and `/etc/group` (passwd(5), group(5)). Lines of another
    /// form are passed over, as the C library does.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let user = |line: &str| {
            let mut fields = line.split(':');
            let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
            Some((name.to_owned(), number.parse().ok()?))
        };
        let name = |line: &str| line.split_once(':').map(|(name, _)| name.to_owned());
        Self {
            users: passwd.lines().filter_map(user).collect(),
            groups: group.lines().filter_map(name).collect(),
        }
    }

    /// What makes `name` unfit for the login; a login that the image brings is taken over.
    fn fault(&self, name: &str) -> Option<&'static str> {
        // login.defs(5): UID_MIN is 1000; 65534 is nobody.
        match self.users.get(name) {
            Some(1000..=59_999) => None,
            Some(_) => Some("system user"),
            None => self.groups.contains(name).then_some("group"),
        }
    }
}

impl Cluster {
    /// Refuses a login name that the image with these accounts uses for something else.
    pub(crate) fn check_login(&self, image: &Accounts) -> Result<(), Problem> {
        let name = &self.access.user;
        match image.fault(name) {
            None => Ok(()),
            Some(what) => Err(self.origins.problem(
                "access.user",
                format!("the base image has a {what} {name:?} already, so no login can be made with that name; take another"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_image_are_no_logins() {
        for taken in
            ["adm", "sudo", "root", "daemon", "www-data", "systemd-network", "systemd-oom", "sshd", "users"]
        {
            assert!(user(taken).is_err(), "{taken}");
        }
        for free in ["ubuntu", "pi", "jane", "_x", "admin", "k8s", "a-b_c", "sudoer"] {
            assert_eq!(user(free).as_deref(), Ok(free));
        }
        let long = "a".repeat(33);
        for bad in ["", "1a", "-a", "Jane", "jane doe", "jänе", "a.b", "a$", long.as_str()] {
            assert!(user(bad).is_err(), "{bad}");
        }
        assert!(TAKEN.split(' ').is_sorted());
    }

    #[test]
    fn an_image_is_asked_for_what_it_has() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n\
                      service:x:998:998::/:/usr/sbin/nologin\nbroken\n";
        let accounts = Accounts::parse(passwd, "root:x:0:\ngpio:x:993:\nubuntu:x:1000:\nbroken\n");
        let fault = |name: &str| accounts.fault(name);
        assert_eq!((fault("ubuntu"), fault("jane")), (None, None));
        assert_eq!((fault("service"), fault("gpio")), (Some("system user"), Some("group")));
        assert_eq!(fault("broken"), None);
    }
}
