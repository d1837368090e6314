//! The files of a store, all of them: what is not listed here is not the store's.

/// The files of a store, by what they are called, and how long each counts.
macro_rules! store_files {
    ($($(#[$doc:meta])* $file:ident = $name:literal, $term:ident;)*) => {
        /// A file of a store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum StoreFile {
            $($(#[$doc])* $file,)*
        }

        impl StoreFile {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$file,)*];

            /// What it is called.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$file => $name,)*
                }
            }

            fn term(self) -> Term {
                match self {
                    $(Self::$file => Term::$term,)*
                }
            }
        }
    };
}

/// How long a file counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Term {
    /// As long as the cluster.
    Lasting,
    /// For one command.
    Passing,
}

store_files! {
    /// Keeps git away.
    Gitignore = ".gitignore", Lasting;
    /// Whose identity it is.
    Label = "identity.toml", Lasting;
    /// The CA's certificate.
    CaCertificate = "ca.crt", Lasting;
    /// The CA's key.
    CaKey = "ca.key", Lasting;
    /// The administrator's certificate.
    AdminCertificate = "admin.crt", Lasting;
    /// The administrator's key.
    AdminKey = "admin.key", Lasting;
    /// Both, until they are in the two files: of two files one alone could be there after a crash.
    NewAdmin = "admin.pem", Lasting;
    /// The administrator's kubeconfig.
    AdminConf = "admin.conf", Lasting;
    /// A kubeconfig for the time of one command.
    LentConf = "lent.conf", Passing;
    /// The bootstrap tokens.
    Token = "token", Lasting;
    /// What workers' new cards join with.
    Joining = "joining", Lasting;
    /// What passwords are hashed with.
    Salt = "salt", Lasting;
    /// What the nodes' host keys are made of.
    HostKeys = "host_keys", Lasting;
    /// The private half of the pair of SSH keys.
    SshKey = "ssh_key", Lasting;
    /// The public half.
    SshKeyPublic = "ssh_key.pub", Lasting;
    /// What `ssh -F` takes.
    SshConfig = "ssh_config", Lasting;
    /// The nodes' host keys as ssh reads them.
    KnownHosts = "known_hosts", Lasting;
    /// What the cluster is signed with where it lies in a registry.
    FleetKey = "fleet_key", Lasting;
    /// Which number each name in a registry had last.
    FleetNumbers = "fleet_numbers", Lasting;
}

impl StoreFile {
    /// The one that is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|file| file.name() == name)
    }

    /// Whether it belongs into a copy of the store: rights that end with a command do not outlive it in one.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        self.term() == Term::Lasting
    }
}
