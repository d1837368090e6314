//! Paths in JSON, which knows text alone.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Puts `path` under `key` into a JSON object. JSON holds text and a path is any bytes: one that is not
/// UTF-8 has U+FFFD where it is not, and its bytes stand beside it under `<key>_base64`.
pub fn put_path(object: &mut Value, key: &str, path: &Path) {
    put_bytes(object, key, path.as_os_str().as_bytes());
}

/// As [`put_path`], for a name.
pub fn put_bytes(object: &mut Value, key: &str, bytes: &[u8]) {
    object[key] = json!(String::from_utf8_lossy(bytes));
    if std::str::from_utf8(bytes).is_err() {
        object[format!("{key}_base64")] = json!(BASE64_STANDARD.encode(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn what_is_not_utf_8_is_there_in_full() {
        let mut object = json!({ "node": "node-1" });
        put_path(&mut object, "image", Path::new("images/nü.img"));
        put_path(&mut object, "odd", Path::new(OsStr::from_bytes(b"a\xff/b")));
        let expected = json!({ "node": "node-1", "image": "images/nü.img",
            "odd": "a\u{fffd}/b", "odd_base64": "Yf8vYg==" });
        assert_eq!(object, expected);
    }
}
