//! Images made from nothing, as a folder that skopeo reads.

use std::collections::BTreeMap;
use std::path::Path;

use rand::Rng;
use serde_json::{Value, json};
use support::fetching::{gz, sha256};
use support::noise::noise;
use support::{run, tool};

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Content by digest.
#[derive(Default)]
pub struct Layout {
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// A descriptor of this content, which is kept.
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = format!("sha256:{}", sha256(bytes));
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// A layer with a file that does not pack well.
    pub fn layer(&mut self, name: &str, len: usize) -> Value {
        let tar = layer_tar(name, len);
        let mut layer = self.blob("application/vnd.oci.image.layer.v1.tar+gzip", &gz(&tar));
        layer["diff"] = format!("sha256:{}", sha256(&tar)).into();
        layer
    }

    /// An image's manifest; `platform` is `os/architecture[/variant]`.
    pub fn image(&mut self, platform: &str, layers: &[Value]) -> Value {
        let mut config = platform_of(platform);
        let diffs: Vec<&Value> = layers.iter().map(|layer| &layer["diff"]).collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": diffs});
        config["config"] = json!({"Cmd": ["/run"]});
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let bare = layers.iter().map(|layer| {
            let mut layer = layer.clone();
            layer.as_object_mut().unwrap().remove("diff");
            layer
        });
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": bare.collect::<Vec<_>>()});
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    /// An index of these, each with its platform, or with none where that is empty.
    pub fn index(&mut self, entries: &[(&str, &Value)]) -> Value {
        let listed = entries.iter().map(|(platform, entry)| {
            let mut entry = (*entry).clone();
            if !platform.is_empty() {
                entry["platform"] = platform_of(platform);
            }
            entry
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed.collect::<Vec<_>>()});
        self.blob(INDEX, index.to_string().as_bytes())
    }

    /// An image for arm64 and amd64, with one layer each.
    pub fn both(&mut self, name: &str, len: usize) -> Value {
        let layers = ["arm64", "amd64"].map(|arch| self.layer(&format!("{name}-{arch}"), len));
        let [arm, intel] = [("linux/arm64", &layers[0]), ("linux/amd64", &layers[1])]
            .map(|(platform, layer)| self.image(platform, std::slice::from_ref(layer)));
        self.index(&[("linux/amd64", &intel), ("linux/arm64/v8", &arm)])
    }

    /// Writes it as an OCI image layout of one image called `x`.
    pub fn write(&self, dir: &Path, image: &Value) {
        let blobs = dir.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        for (digest, bytes) in &self.blobs {
            std::fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), bytes).unwrap();
        }
        let mut image = image.clone();
        image["annotations"] = json!({"org.opencontainers.image.ref.name": "x"});
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        std::fs::write(dir.join("index.json"), json!({"schemaVersion": 2, "manifests": [image]}).to_string())
            .unwrap();
    }
}

/// The digest in a descriptor.
pub fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

fn platform_of(text: &str) -> Value {
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
    match parts.next() {
        Some(variant) => json!({"os": os, "architecture": architecture, "variant": variant}),
        None => json!({"os": os, "architecture": architecture}),
    }
}

fn layer_tar(name: &str, len: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut content = vec![0; len];
    noise(name.bytes().map(u64::from).sum()).fill_bytes(&mut content);
    std::fs::write(dir.path().join(name), content).unwrap();
    let file = dir.path().join("layer.tar");
    run(tool("tar", "tar")
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-C"])
        .arg(dir.path())
        .arg("-cf")
        .arg(&file)
        .arg(name));
    std::fs::read(file).unwrap()
}
