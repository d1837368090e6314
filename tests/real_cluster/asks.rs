//! Whether pods answer: each other, by the service, and by its name.

use std::collections::BTreeSet;

use crate::outside::Pod;
use crate::real::{NODES, Real};

impl Real {
    /// Has what a manifest describes.
    pub fn apply(&mut self, manifest: &str) {
        let file = format!("{}/tests/real_cluster/{manifest}", env!("CARGO_MANIFEST_DIR"));
        self.until(&format!("{manifest} to be applied"), |real| {
            real.outside.kubectl(&["apply", "--filename", &file])
        });
    }

    /// Waits until there is a pod of each app on both nodes, ready, and with a container that is none of
    /// those in `before`.
    pub fn wait_for_pods(&mut self, apps: &[&str], before: &BTreeSet<String>) -> Vec<Pod> {
        self.wait_for_pods_on(&NODES, apps, before)
    }

    /// The same where only `renewed` nodes have other containers than `before`; there may be nodes more than
    /// the two.
    pub fn wait_for_pods_on(
        &mut self,
        renewed: &[&str],
        apps: &[&str],
        before: &BTreeSet<String>,
    ) -> Vec<Pod> {
        let nodes: BTreeSet<&str> = NODES.iter().chain(renewed).copied().collect();
        let wanted = apps.len() * nodes.len();
        let pods = self.until("the pods", |real| {
            let pods = real.outside.pods()?;
            let good = |pod: &Pod| {
                let is_new = !renewed.contains(&pod.node.as_str()) || !before.contains(&pod.container);
                apps.contains(&pod.app.as_str()) && pod.ready && is_new
            };
            let count = pods.iter().filter(|pod| good(pod)).count();
            if count == wanted { Ok(pods) } else { Err(format!("{count} of {wanted} are ready: {pods:?}")) }
        });
        self.note(&format!("pods of {} are ready on all nodes", apps.join(", ")));
        pods.into_iter().filter(|pod| apps.contains(&pod.app.as_str())).collect()
    }

    /// The containers that run now.
    pub fn containers(&mut self) -> BTreeSet<String> {
        self.until("the pods", |real| real.outside.pods()).into_iter().map(|pod| pod.container).collect()
    }

    /// Every pod that answers does so to a pod on each node, at its own address; the service leads to all
    /// of `answers`, by its name, from each node.
    pub fn assert_pods_answer(&mut self, pods: &[Pod]) {
        let serving: Vec<&Pod> = pods.iter().filter(|pod| pod.app != "asks").collect();
        let mut questions = String::new();
        for pod in &serving {
            questions += &format!("echo {} $({})\n", pod.name, get(&format!("{}:8080", pod.address)));
        }
        // By its short name, which the first entry of the search list has. A long one with four dots goes
        // through the whole list first, whose last entry is asked of name servers that are not there.
        let service = get("answers");
        // kube-proxy chooses by chance: that one of two is never met in 24 tries is as likely as one in eight million
        questions += &format!(
            "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do echo service $({service}); done\n"
        );
        for asking in pods.iter().filter(|pod| pod.app == "answers") {
            let expected: BTreeSet<String> = serving
                .iter()
                .map(|pod| format!("{} {}", pod.name, pod.node))
                .chain(
                    serving
                        .iter()
                        .filter(|pod| pod.app == "answers")
                        .map(|pod| format!("service {}", pod.node)),
                )
                .collect();
            self.until(&format!("all answers to a pod on {}", asking.node), |real| {
                let said = real.outside.kubectl(&["exec", &asking.name, "--", "sh", "-c", &questions])?;
                let lines: BTreeSet<String> = said.lines().map(str::to_owned).collect();
                if lines == expected { Ok(()) } else { Err(format!("{lines:?}, not {expected:?}")) }
            });
            self.note(&format!("every pod, and the service by its name, answers a pod on {}", asking.node));
        }
    }
}

/// Debian's busybox is built without wget's own `-T`, and crashes where it is given.
fn get(server: &str) -> String {
    format!("busybox timeout 20 wget -q -O - http://{server}/node || echo nobody")
}
