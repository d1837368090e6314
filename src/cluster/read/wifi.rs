//! `[network.wifi]`: one radio network, and others that do as well.

use std::path::Path;

use super::passwords::{self, Passwords};
use super::values::existing;
use crate::cluster::radio::table_of;
use crate::cluster::toml::{Document, Table, Value};
use crate::cluster::{EapMethod, Enterprise, Inner, Secret, Security, Tunnel, Wifi, WifiKey, check, country};

/// The radio networks of a description, one or more.
pub(super) struct Networks {
    pub(super) networks: Vec<Wifi>,
    pub(super) country: Option<String>,
}

/// What reading a network needs to know.
struct Reader<'a, 'd> {
    document: &'a Document<'d>,
    dir: &'a Path,
    /// The password from the environment.
    variable: Option<&'a Secret>,
}

/// `None` where the description has none, or none that is sound.
pub(super) fn networks(
    mut table: Table<'_, '_>,
    document: &Document<'_>,
    dir: &Path,
    passwords: &Passwords,
) -> Option<Networks> {
    let country = table.read("country", country::country);
    let others = table.take("also").and_then(Value::list).unwrap_or_default();
    // Without the table there is no radio network that a password could be for.
    let variable = passwords.wifi.as_ref().filter(|_| document.is_set("network.wifi"));
    let first = Reader { document, dir, variable }.network(table, &table_of(0));
    if !document.is_set("network.wifi") {
        return None;
    }
    let reader = Reader { document, dir, variable: None };
    let others = others.into_iter().zip(1..);
    let others: Vec<_> =
        others.map(|(value, place)| reader.network(value.table()?, &table_of(place))).collect();
    let networks: Option<Vec<Wifi>> = std::iter::once(first).chain(others).collect();
    let networks = networks?;
    for (place, wifi) in networks.iter().enumerate() {
        if networks.iter().take(place).any(|other| other.ssid == wifi.ssid) {
            let message = "is described already; the access points of one network need one entry only";
            document.report(&format!("{}.ssid", table_of(place)), message);
        }
    }
    Some(Networks { networks, country })
}

impl Reader<'_, '_> {
    /// The network that a table describes; `at` is the table's name.
    fn network(&self, mut table: Table<'_, '_>, at: &str) -> Option<Wifi> {
        let Self { document, dir, .. } = *self;
        let key = |key: &str| format!("{at}.{key}");
        let is_set = |name: &str| document.is_set(&key(name));
        let ssid = table.text("ssid").map(|f| f.check(|t| check::ssid(t)));
        let variable = (passwords::WIFI, self.variable);
        let password = table.secret("password", "password-file", variable, |file| passwords::read(dir, file));
        let psk = table.text("psk").map(|f| f.check(|t| check::psk(t)));
        let open_flag = table.flag("open", false);
        let security = table.choose(
            "security",
            &[
                ("wpa2", Some(Security::Wpa2)),
                ("wpa3", Some(Security::Wpa3)),
                ("wpa2-wpa3", Some(Security::Wpa2OrWpa3)),
                ("open", None),
            ],
        );
        let hidden = table.flag("hidden", false);
        let eap = table.table("eap");
        let is_enterprise = is_set("eap");
        let (users, password) = if is_enterprise { (password, None) } else { (None, password) };
        let users = users.and_then(|f| f.check(|text| check::eap_text(text)).map(Secret::new));
        let enterprise = self.enterprise(eap, at, users);
        // What seems to be missing is there, then, under a name with a slip in it.
        let misspelt = table.finish();
        if !document.is_set(at) {
            return None;
        }
        if !misspelt && !is_set("ssid") {
            document.report(&key("ssid"), "must be given: the name of the radio network");
        }
        if is_enterprise {
            for other in ["psk", "open", "security"].into_iter().filter(|name| is_set(name)) {
                document.report(&key(other), "does not go with \"eap\": drop one of the two");
            }
            let key = WifiKey::Enterprise(enterprise?);
            return Some(Wifi { ssid: ssid??, key, security: Security::default(), hidden });
        }
        let password = password.map(|f| f.check(|t| check::wifi_password(t)));
        let open = open_flag || security == Some(None);
        if open_flag && matches!(security, Some(Some(_))) {
            document.report(&key("security"), "does not go with open = true: drop one of the two");
        }
        let security = security.flatten().unwrap_or_default();
        let given: Vec<_> = ["password", "psk"].into_iter().filter(|name| is_set(name)).collect();
        let wifi_key = match (given.as_slice(), open) {
            ([], true) => Some(WifiKey::Open),
            ([], false) if misspelt => None,
            ([], false) => {
                let message = "must be given; for a network without one, set open = true";
                document.report(&key("password"), message);
                None
            }
            ([_], false) => password.or(psk).flatten(),
            ([_, .., other], _) => {
                document.report(&key(other), "goes without \"password\": give one of the two");
                None
            }
            ([given], true) => {
                let message = format!("an open network has no {given}: drop one of the two");
                document.report(&key(if open_flag { "open" } else { "security" }), message);
                None
            }
        };
        if let (Some(WifiKey::Psk(_)), [given], Security::Wpa3 | Security::Wpa2OrWpa3) =
            (&wifi_key, given.as_slice(), security)
        {
            let message = "must be the passphrase itself under \"password\": WPA3 cannot use the 64 digits that WPA2 \
                           makes of it; or set security = \"wpa2\"";
            document.report(&key(given), message);
        }
        Some(Wifi { ssid: ssid??, key: wifi_key?, security, hidden })
    }

    /// `eap`, with the password that stands beside it.
    fn enterprise(&self, mut table: Table<'_, '_>, at: &str, password: Option<Secret>) -> Option<Enterprise> {
        let Self { document, dir, .. } = *self;
        let key = |key: &str| format!("{at}.eap.{key}");
        let method = table
            .choose("method", &[("peap", Some(Tunnel::Peap)), ("ttls", Some(Tunnel::Ttls)), ("tls", None)]);
        let identity = table.read("identity", check::eap_text);
        let anonymous_identity = table.read("anonymous-identity", check::eap_text);
        let inner = table.choose("inner", &Inner::ALL.map(|inner| (inner.as_str(), inner)));
        let mut file = |key| table.text(key).and_then(|field| existing(field, dir, false));
        let ca_certificate = file("ca-certificate");
        let certificate = file("certificate");
        let private_key = file("private-key");
        let key_password =
            table.secret("private-key-password", "private-key-password-file", ("", None), |file| {
                passwords::read(dir, file)
            });
        let key_password =
            key_password.and_then(|field| field.check(|text| check::eap_text(text)).map(Secret::new));
        if table.finish() || !document.is_set(&format!("{at}.eap")) {
            return None;
        }
        let is_set = |name: &str| document.is_set(&key(name));
        let needs = |name: &str, what: &str| {
            if !is_set(name) {
                document.report(&key(name), format!("must be given: {what}"));
            }
        };
        needs("method", "\"peap\" or \"ttls\" with a password, or \"tls\" with a certificate");
        needs("identity", "the user's name, such as \"pi@example.org\"");
        needs(
            "ca-certificate",
            "the file with the certificate of the authority that signed the server's, as the network's administrators \
             give it out; without it anybody could pose as the network and be told the password",
        );
        let unfit = |names: &[&str], method: &str| {
            for name in names.iter().filter(|name| is_set(name)) {
                document.report(&key(name), format!("does not go with method = \"{method}\""));
            }
        };
        let password_key = format!("{at}.password");
        let method = match method? {
            Some(tunnel) => {
                let name = if tunnel == Tunnel::Peap { "peap" } else { "ttls" };
                unfit(
                    &["certificate", "private-key", "private-key-password", "private-key-password-file"],
                    name,
                );
                if tunnel == Tunnel::Peap && inner == Some(Inner::Pap) {
                    document.report(&key("inner"), "\"pap\" goes with method = \"ttls\" only");
                }
                if !document.is_set(&password_key) {
                    document.report(&password_key, "must be given: the user's password");
                }
                let inner = inner.unwrap_or(Inner::Mschapv2);
                // For MSCHAPv2 netplan is given a hash. All else wpa_supplicant ends at the first quotation mark,
                // and netplan takes for a hash what begins so.
                let plain = password.as_ref().filter(|_| inner != Inner::Mschapv2).map(Secret::reveal);
                if plain.is_some_and(|text| text.contains('"') || text.starts_with("hash:")) {
                    let message = format!(
                        "must hold no quotation mark, and not begin with \"hash:\", with eap.inner = {:?}",
                        inner.as_str()
                    );
                    document.report(&password_key, message);
                }
                EapMethod::Password { tunnel, inner, password: password? }
            }
            None => {
                unfit(&["inner"], "tls");
                if document.is_set(&password_key) {
                    let message = "does not go with eap.method = \"tls\"; what the private key is encrypted with is \
                                   eap.private-key-password";
                    document.report(&password_key, message);
                }
                needs("certificate", "the node's certificate, a file in PEM");
                needs("private-key", "the certificate's private key, a file in PEM");
                EapMethod::Certificate { certificate: certificate?, key: private_key?, key_password }
            }
        };
        Some(Enterprise { identity: identity?, anonymous_identity, ca_certificate: ca_certificate?, method })
    }
}
