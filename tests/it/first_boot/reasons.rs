//! Why it does not go on, in words for people.

use std::fmt::Write;

use super::node::{Node, Role};

/// What `node` says when it stops in the stage `stage`.
fn message(node: &Node, stage: &str, state: &str) -> String {
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &[&format!("name={stage}"), &format!("state={state}")]);
    let message = status.lines().find_map(|line| line.strip_prefix("message=")).unwrap();
    // How long the pause is depends on how many there were.
    let message = message.rsplit_once("; ").unwrap().0;
    format!("{stage}: {}\n", message.replace(node.root().to_str().unwrap(), ""))
}

#[test]
fn what_a_stage_waits_for_is_said() {
    let mut said = String::new();
    let mut case = |role, stage, state, spoil: &dyn Fn(&Node)| {
        let node = Node::new(role);
        spoil(&node);
        said.push_str(&message(&node, stage, state));
    };
    let remove = |node: &Node, path: &str| std::fs::remove_file(node.root().join(path)).unwrap();
    use Role::{ControlPlane, Worker};
    case(Worker, "cloud-init", "waiting", &|n| remove(n, "run/cloud-init/result.json"));
    case(Worker, "disk", "retrying", &|n| n.state("free", "300"));
    case(Worker, "network", "waiting", &|n| n.unset_state("link"));
    case(Worker, "network", "waiting", &|n| {
        n.unset_state("link");
        n.put("sys/class/net/eth0/carrier", "0\n");
    });
    case(Worker, "network", "waiting", &|n| n.state("address", "192.168.1.55"));
    // in lan mode
    for (from, address) in [("router", "192.168.1.55"), ("router", ""), ("card", "")] {
        case(Worker, "network", "waiting", &|n| {
            n.put(
                "etc/pibake/node.env",
                &format!("{}ADDRESS_FROM='{from}'\n", n.read("etc/pibake/node.env")),
            );
            n.put("sys/class/net/eth0/address", "dc:a6:32:01:02:03\n");
            match address {
                "" => n.unset_state("link"),
                address => n.state("address", address),
            }
        });
    }
    case(Worker, "network", "waiting", &|n| {
        n.unset_state("link");
        n.put("sys/class/net/eth0/carrier", "0\n");
        n.put("sys/class/net/eth0/phy80211/name", "phy0\n");
    });
    case(ControlPlane, "network", "waiting", &|n| n.unset_state("uplink"));
    case(ControlPlane, "network", "waiting", &|n| {
        n.unset_state("uplink");
        n.put("sys/class/net/wlan0/carrier", "0\n");
    });
    for address in ["10.0.0.57/24", "10.0.0.57/8", "10.244.9.5/24", "10.100.0.2/16"] {
        case(ControlPlane, "network", "waiting", &|n| n.state("uplink-address", address));
    }
    for route in [
        "default via 10.0.0.1 dev wlan0 proto dhcp src 192.168.1.77 metric 600",
        "10.96.0.0/16 via 192.168.1.9 dev wlan0 proto dhcp metric 600",
        "10.0.0.0/8 dev wlan0 scope link",
        "10.244.7.7 via 192.168.1.9 dev wlan0 proto dhcp metric 600",
    ] {
        case(ControlPlane, "network", "waiting", &|n| n.state("routes", &format!("{route}\n")));
    }
    case(ControlPlane, "network", "waiting", &|n| {
        n.put("run/systemd/resolve/resolv.conf", "# x\nnameserver 8.8.8.8\nnameserver 10.96.0.53\n")
    });
    // with IPv6
    let dual = |n: &Node, addresses: &str| {
        let env = n.read("etc/pibake/node.env");
        n.put("etc/pibake/node.env", &format!("{env}IPV6_ADDRESS='fd12:3456:789a::2'\n"));
        n.state("address6", addresses);
    };
    let line = "2: eth0    inet6 fd12:3456:789a::2/64 scope global";
    case(Worker, "network", "waiting", &|n| dual(n, "2: eth0    inet6 fe80::1/64 scope link\n"));
    case(Worker, "network", "waiting", &|n| dual(n, &format!("{line} dadfailed tentative\n")));
    case(Worker, "kernel", "retrying", &|n| dual(n, &format!("{line}\n")));
    case(ControlPlane, "dhcp", "waiting", &|n| {
        n.state("other-dhcp", "192.168.1.1 (66:66:66:66:66:66), which offers 192.168.1.101\n")
    });
    case(Worker, "clock", "waiting", &|n| n.unset_state("clock"));
    case(Worker, "kernel", "retrying", &|n| remove(n, "proc/cgroups"));
    case(ControlPlane, "control-plane", "retrying", &|n| remove(n, "etc/kubernetes/pki/ca.key"));
    insta::assert_snapshot!(said);
}

#[test]
fn what_was_waited_for_is_noticed() {
    let mended = |role, stage: &str, spoil: &dyn Fn(&Node), mend: &dyn Fn(&Node)| {
        let node = Node::new(role);
        spoil(&node);
        let mut running = node.start(&[]);
        node.await_status(&mut running, &[&format!("name={stage}"), "state=waiting"]);
        mend(&node);
        assert!(running.end(&node).success(), "{stage}: {}", node.output());
    };
    let result = "run/cloud-init/result.json";
    mended(Role::Worker, "cloud-init", &|n| std::fs::remove_file(n.root().join(result)).unwrap(), &|n| {
        n.put(result, "{}")
    });
    mended(Role::Worker, "network", &|n| n.unset_state("link"), &|n| n.state("link", ""));
    mended(Role::ControlPlane, "network", &|n| n.unset_state("uplink"), &|n| n.state("uplink", ""));
    mended(Role::Worker, "clock", &|n| n.unset_state("clock"), &|n| n.state("clock", ""));
    mended(Role::Worker, "join", &|n| n.unset_state("control-plane-up"), &|n| {
        n.state("control-plane-up", "")
    });
}

#[test]
fn a_broken_node_env_is_said() {
    let node = Node::new(Role::Worker);
    let whole = node.read("etc/pibake/node.env");
    node.put("etc/pibake/node.env", &whole.replace("CONTROL_PLANE=", "OTHER="));
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["state=retrying"]);
    assert!(status.contains("node.env has no CONTROL_PLANE: bake the card again"), "{status}");
    node.put("etc/pibake/node.env", &whole);
    assert!(running.end(&node).success());
}

/// What is beside the cluster's networks, or wider than they are behind a router, is no harm.
#[test]
fn a_network_outside_that_is_another_is_left_alone() {
    let routes = "default via 192.168.1.1 dev wlan0 proto dhcp src 192.168.1.77 metric 600\n\
                  10.0.0.0/8 via 192.168.1.9 dev wlan0 proto dhcp metric 600\n\
                  10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.1\n\
                  10.244.1.0/24 via 10.0.0.2 dev eth0\n\
                  192.168.1.0/24 dev wlan0 proto kernel scope link src 192.168.1.77 metric 600\n\
                  192.168.1.1 dev wlan0 proto dhcp scope link src 192.168.1.77 metric 600\n";
    let node = Node::new(Role::ControlPlane);
    node.state("routes", routes);
    node.state("uplink-address", "10.0.1.57/24");
    node.put("run/systemd/resolve/resolv.conf", "nameserver 192.168.1.1\nnameserver fe80::1%3\n");
    node.complete(&[]);
}

/// The words of real programs, each with the sentence made of them.
#[test]
fn failures_are_explained() {
    let printed = [
        // the machine and the network
        "E: You don't have enough free space in /var/cache/apt/archives/.\nwrite error: No space left on device",
        "cp: cannot create '/x': Read-only file system",
        "W: Failed to fetch http://ports.ubuntu.com/dists/focal/InRelease  Temporary failure resolving 'ports.ubuntu.com'",
        "failed to pull image \"registry.k8s.io/pause:3.10.1\": rpc error: code = Unknown desc = failed to pull and unpack image \"registry.k8s.io/pause:3.10.1\": failed to resolve reference \"registry.k8s.io/pause:3.10.1\": failed to do request: Head \"https://registry.k8s.io/v2/pause/manifests/3.10.1\": dial tcp: lookup registry.k8s.io on 127.0.0.53:53: server misbehaving",
        "Cannot initiate the connection to 10.1.1.1:80. - connect (101: Network is unreachable)",
        "E: Release file for http://x/InRelease is not valid yet (invalid for another 3h 2min 5s). Updates for this repository will not be applied.",
        "E: Release file for http://x/InRelease is expired (invalid since 12d 3h). Updates for this repository will not be applied.",
        "x509: certificate has expired or is not yet valid: current time 2020-04-01T17:23:47Z is before 2026-11-23T10:00:00Z",
        "  Invalid response from proxy: HTTP/1.1 407 Proxy Authentication Required [IP: 10.1.1.9 3128]",
        "E: Failed to fetch https://x/Packages  Certificate verification failed: The certificate is NOT trusted. The certificate issuer is unknown.  Could not handshake: Error in the certificate verification. [IP: 10.1.1.1 443]",
        "failed to do request: Head \"https://10.1.1.5:5000/v2/pause/manifests/3.10\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "failed to do request: Head \"https://10.1.1.5:5000/v2/pause/manifests/3.10\": http: server gave HTTP response to HTTPS client",
        // apt and dpkg
        "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)...\nE: Unable to locate package containerd.io",
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt-get)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
        "W: GPG error: https://x InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 234654DA9A296436\nE: The repository 'https://x InRelease' is not signed.",
        "W: GPG error: https://x InRelease: The following signatures were invalid: EXPKEYSIG 234654DA9A296436 isv:kubernetes OBS Project <isv:kubernetes@build.opensuse.org>",
        "E: Version '1.34.99-*' for 'kubeadm' was not found",
        "Package containerd.io is not available, but is referred to by another package.\nE: Package 'containerd.io' has no installation candidate",
        "E: The repository 'https://download.docker.com/linux/ubuntu oracular Release' does not have a Release file.",
        "E: Failed to fetch https://pkgs.k8s.io/core:/stable:/v1.99/deb/InRelease  404  Not Found [IP: 1.2.3.4 443]",
        "E: Failed to fetch https://x/y.deb  403  Forbidden [IP: 1.2.3.4 443]",
        "E: Failed to fetch https://x/y.deb  503  Service Unavailable [IP: 1.2.3.4 443]",
        "E: Failed to fetch http://x/Packages.gz  Hash Sum mismatch",
        "E: Failed to fetch http://x/Packages.gz  File has unexpected size (141 != 139). Mirror sync in progress? [IP: 1.2.3.4 80]",
        "The following packages have unmet dependencies:\n kubelet : Depends: kubernetes-cni (>= 1.2.0) but it is not going to be installed\nE: Unable to correct problems, you have held broken packages.",
        "dpkg: error processing package containerd.io (--configure):\n installed containerd.io package post-installation script subprocess returned error exit status 1\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
        // containerd, through kubeadm
        "failed to pull image \"k8s.m.daocloud.io/coredns:v1.10.1\": output: E0514 02:43:12.077954   13125 remote_image.go:171] \"PullImage from image service failed\" err=\"rpc error: code = Unknown desc = failed to pull and unpack image \\\"k8s.m.daocloud.io/coredns:v1.10.1\\\": failed to resolve reference \\\"k8s.m.daocloud.io/coredns:v1.10.1\\\": unexpected status from HEAD request to https://k8s.m.daocloud.io/v2/coredns/manifests/v1.10.1: 403 Forbidden\"\n, error: exit status 1\nTo see the stack trace of this error execute with --v=5 or higher",
        "failed to pull image \"registry.k8s.io/coredns:v1.8.0\": output: time=\"2026-11-23T10:00:00Z\" level=fatal msg=\"pulling image: rpc error: code = NotFound desc = failed to pull and unpack image \\\"registry.k8s.io/coredns:v1.8.0\\\": failed to resolve reference \\\"registry.k8s.io/coredns:v1.8.0\\\": registry.k8s.io/coredns:v1.8.0: not found\"\n, error: exit status 1\nTo see the stack trace of this error execute with --v=5 or higher",
        "\t[ERROR ImagePull]: failed to pull image registry.k8s.io/kube-proxy:v1.28.2: output: E0920 10:00:37.381343  208045 remote_image.go:171] \"PullImage from image service failed\" err=\"rpc error: code = Unknown desc = failed to pull and unpack image \\\"registry.k8s.io/kube-proxy:v1.28.2\\\": failed to resolve reference: failed to do request: Head \\\"https://registry.k8s.io/v2/kube-proxy/manifests/v1.28.2\\\": dial tcp 34.96.108.209:443: connect: connection timed out\"",
        "failed to pull image registry.lan/k8s/etcd:3.6.5-0: failed to pull and unpack image \"registry.lan/k8s/etcd:3.6.5-0\": no match for platform in manifest: not found",
        "failed to pull image docker.io/flannel/flannel:v0.28.9: rpc error: code = Unknown desc = failed to pull and unpack image: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit",
        "failed to pull image registry.k8s.io/etcd:3.6.5-0: failed commit on ref \"layer-sha256:12\": unexpected commit digest sha256:34, expected sha256:12: failed precondition",
        // kubeadm
        "\t[WARNING Hostname]: hostname \"node-1\" could not be reached\n\t[WARNING Hostname]: hostname \"node-1\": lookup node-1 on 10.0.0.1:53: no such host\nerror execution phase preflight: [preflight] Some fatal errors occurred:\n\t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2\n[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`\nTo see the stack trace of this error execute with --v=5 or higher",
        "W1123 10:00:00.000000    1234 version.go:104] could not fetch a Kubernetes version from the internet: unable to get URL \"https://dl.k8s.io/release/stable-1.txt\": dial tcp: lookup dl.k8s.io: no such host\n\t[ERROR Mem]: the system RAM (906 MB) is less than the minimum 1700 MB",
        "\t[ERROR SystemVerification]: missing required cgroups: memory",
        "\t[ERROR SystemVerification]: cgroups v1 support is deprecated and will be removed in a future release. Please migrate to cgroups v2.",
        "\t[ERROR Swap]: running with swap on is not supported. Please disable swap",
        "\t[ERROR FileExisting-conntrack]: conntrack not found in system path",
        "\t[ERROR CRI]: container runtime is not running: output: time=\"2026-11-23T10:00:00Z\" level=fatal msg=\"validate service connection: validate CRI v1 runtime API for endpoint \\\"unix:///run/containerd/containerd.sock\\\": rpc error: code = Unimplemented desc = unknown service runtime.v1.RuntimeService\"",
        "\t[ERROR CRI]: container runtime is not running: output: validate connection: dial unix /run/containerd/containerd.sock: connect: no such file or directory",
        "\t[ERROR Port-10250]: Port 10250 is in use",
        "\t[ERROR FileAvailable--etc-kubernetes-pki-ca.crt]: /etc/kubernetes/pki/ca.crt already exists",
        "\t[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty",
        "\t[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: /proc/sys/net/ipv4/ip_forward contents are not set to 1",
        "\t[ERROR KubeletVersion]: the kubelet version is higher than the control plane version. This is not a supported version skew and may lead to a malfunctional cluster. Kubelet version: \"1.35.0\" Control plane version: \"1.34.2\"",
        "error execution phase kubelet-start: a Node with name \"node-2\" and status \"Ready\" already exists in the cluster. You must delete the existing Node or change the name of this new joining Node\nTo see the stack trace of this error execute with --v=5 or higher",
        "error execution phase preflight: couldn't validate the identity of the API Server: could not find a JWS signature in the cluster-info ConfigMap for token ID \"abcdef\"\nTo see the stack trace of this error execute with --v=5 or higher",
        "error execution phase preflight: couldn't validate the identity of the API Server: failed to verify JWS signature of received cluster info object, can't trust this API Server",
        "error execution phase kubelet-start: cannot get Node \"node-2\": Unauthorized",
        "error execution phase preflight: couldn't validate the identity of the API Server: cluster CA found in cluster-info ConfigMap is invalid: none of the public keys \"sha256:1\" are pinned",
        "error execution phase preflight: couldn't validate the identity of the API Server: failed to request the cluster-info ConfigMap: configmaps \"cluster-info\" is forbidden",
        "[kubelet-check] The HTTP call equal to 'curl -sSL http://localhost:10248/healthz' failed with error: Get \"http://localhost:10248/healthz\": dial tcp [::1]:10248: connect: connection refused.\n\tUnfortunately, an error has occurred:\n\t\ttimed out waiting for the condition\nerror execution phase wait-control-plane: couldn't initialize a Kubernetes cluster\nTo see the stack trace of this error execute with --v=5 or higher",
        "[kubelet-check] The kubelet is not healthy after 20m0.000s\nerror: error execution phase wait-control-plane: failed while waiting for the kubelet to start: The HTTP call equal to 'curl -sSL http://127.0.0.1:10248/healthz' returned error: context deadline exceeded",
        "[kubelet-check] The kubelet is healthy after 1.001974332s\n[control-plane-check] kube-apiserver is not healthy after 20m0.000s\nerror: error execution phase wait-control-plane: failed while waiting for the control plane to start: kube-apiserver check failed at https://10.0.0.1:6443/livez: client rate limiter Wait returned an error: context deadline exceeded",
        "[api-check] The API server is not healthy after 4m0.000666996s\n\nUnfortunately, an error has occurred:\n\tcontext deadline exceeded\nerror execution phase wait-control-plane: could not initialize a Kubernetes cluster\nTo see the stack trace of this error execute with --v=5 or higher",
        "error execution phase wait-control-plane: timed out waiting for the condition",
        "\t[ERROR Something]: nobody foresaw this\n\t[ERROR Other]: nor this\n[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`\nerror: error execution phase preflight: preflight checks failed\nTo see the stack trace of this error execute with --v=5 or higher",
        "error execution phase certs/apiserver: failure loading apiserver certificate: the certificate is no PEM\nTo see the stack trace of this error execute with --v=5 or higher",
        // systemd and whatever there is
        "Job for containerd.service failed because the control process exited with error code.\nSee \"systemctl status containerd.service\" and \"journalctl -xeu containerd.service\" for details.",
        "Failed to start pibake-nat.service: Unit pibake-nat.service not found.",
        "dial tcp 10.0.0.1:6443: connect: connection refused",
        "Err:1 http://x InRelease\n  Could not connect to x:80 (1.2.3.4), connection timed out",
        "first line\nsomething nobody foresaw",
        "To see the stack trace of this error execute with --v=5 or higher",
        "",
    ];
    let node = Node::new(Role::Worker);
    let mut said = String::new();
    for text in printed {
        node.put("printed", text);
        let mut diagnose = support::tool("sh", "dash");
        diagnose.arg(node.root().join("usr/lib/pibake/lib/diagnose")).arg(node.root().join("printed"));
        let sentence = support::run(diagnose.env("NODE_NAME", "node-2"));
        assert_eq!(sentence.lines().count(), 1, "{text}\n{sentence}");
        assert!(!sentence.contains("stack trace"), "{text}\n{sentence}");
        let sentence = sentence.split(" It says 2").next().unwrap().trim_end();
        writeln!(said, "{}\n    {sentence}", text.replace('\n', " | ")).unwrap();
    }
    insta::assert_snapshot!(said);
}

/// The reason is one line, also where a program printed many.
#[test]
fn a_failing_command_is_quoted_in_the_status() {
    let node = Node::new(Role::Worker);
    let call = "kubeadm join --config /etc/pibake/kubeadm.yaml --ignore-preflight-errors DirAvailable--etc-kubernetes-manifests";
    node.complete(&[("FAIL_AT", call)]);
    let log = node.read("var/log/pibake/first-boot.log");
    assert!(
        log.contains(
            "join: retrying: it failed, saying: E: kubeadm refuses, for the test; trying again in 5 s"
        ),
        "{log}"
    );
    assert!(log.contains("join: retrying (attempt 2): it failed, saying:"), "{log}");
}
