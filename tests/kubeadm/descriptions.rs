//! Descriptions of clusters, and what each of them means to kubeadm: written out by hand, and not by
//! what pibake makes of them.

/// A description, and its meaning.
pub struct Description {
    pub name: &'static str,
    pub text: &'static str,
    pub cluster: &'static str,
    /// Name and address.
    pub control_plane: (&'static str, &'static str),
    /// Of one of the workers, if there are any.
    pub worker: Option<(&'static str, &'static str)>,
    pub api_name: &'static str,
    pub domain: &'static str,
    pub pods: &'static str,
    pub services: &'static str,
    /// The addresses in it that Kubernetes gives to the API server and to DNS.
    pub service_addresses: (&'static str, &'static str),
    pub registry: &'static str,
    /// Of the worker, as kubelet's argument has them.
    pub labels: Option<&'static str>,
    /// Whether users' pods may run on the control plane.
    pub control_plane_works: bool,
}

/// Put before each description: Kubernetes 1.20 is too old for the default repository.
pub const REPOSITORY: &str = "[sources.kubernetes]\nurl = \"http://mirror.lan/k8s/{minor}\"\n";

const BOOK: Description = Description {
    name: "book",
    text: "nodes = 4\n[kubernetes]\nversion = \"1.20\"\n",
    cluster: "kubernetes",
    control_plane: ("node-1", "10.0.0.1"),
    worker: Some(("node-4", "10.0.0.4")),
    api_name: "kubernetes.cluster.home",
    domain: "cluster.home",
    pods: "10.244.0.0/16",
    services: "10.96.0.0/12",
    service_addresses: ("10.96.0.1", "10.96.0.10"),
    registry: "registry.k8s.io",
    labels: None,
    control_plane_works: false,
};

pub const DESCRIPTIONS: [Description; 6] = [
    BOOK,
    Description {
        name: "lan",
        text: r#"
            [network]
            mode = "lan"
            subnet = "192.168.1.0/24"
            first-address = "192.168.1.201"
            [kubernetes]
            version = "1.20.2"
        "#,
        control_plane: ("node-1", "192.168.1.201"),
        worker: Some(("node-2", "192.168.1.202")),
        ..BOOK
    },
    Description {
        name: "odd_subnet",
        text: r#"
            nodes = 9
            [network]
            subnet = "172.20.8.0/22"
            first-address = "172.20.9.250"
            [kubernetes]
            version = "1.20"
        "#,
        control_plane: ("node-1", "172.20.9.250"),
        worker: Some(("node-9", "172.20.10.2")),
        ..BOOK
    },
    Description {
        name: "own_networks",
        text: r#"
            [kubernetes]
            version = "1.20"
            pods = "100.64.0.0/14"
            services = "172.30.16.0/20"
        "#,
        pods: "100.64.0.0/14",
        services: "172.30.16.0/20",
        service_addresses: ("172.30.16.1", "172.30.16.10"),
        ..BOOK
    },
    Description {
        name: "odd_names",
        text: r#"
            name = "pi-7"
            domain = "k8s.my-home.example"
            nodes = [
                { name = "w", address = "10.0.0.77", labels = { disk = "ssd", "pi.example/board" = "4b" } },
                { name = "head-of-all", role = "control-plane", address = "10.0.0.200" },
            ]
            [kubernetes]
            version = "1.20"
            [sources]
            image-registry = "registry.lan:5000/k8s"
        "#,
        cluster: "pi-7",
        control_plane: ("head-of-all", "10.0.0.200"),
        worker: Some(("w", "10.0.0.77")),
        api_name: "kubernetes.k8s.my-home.example",
        domain: "k8s.my-home.example",
        registry: "registry.lan:5000/k8s",
        labels: Some("disk=ssd,pi.example/board=4b"),
        ..BOOK
    },
    Description {
        name: "one_node",
        text: "nodes = 1\n[kubernetes]\nversion = \"1.20\"\n",
        worker: None,
        control_plane_works: true,
        ..BOOK
    },
];
