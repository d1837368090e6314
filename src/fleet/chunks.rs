//! How an image is cut into blobs, and these are packed.

use std::io::{self, Read};

use crate::io::chunk::CHUNK;

/// Bytes of an image in one blob, which begins at a multiple of it: small enough to be sent again when a line breaks,
/// large enough that an image has some hundreds of them.
pub(super) const WINDOW: u64 = 4 * CHUNK as u64;

/// Zstandard's level. Of an Ubuntu image the third makes 8 % less and takes half as long again, the ninth 14 % less and
/// seven times as long: with those the sender would wait for the packing, and not for the registry.
const LEVEL: i32 = 1;

/// Packs a blob: the same bytes give the same blob.
pub(super) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
}

/// What packing makes at most of so many bytes: zstd adds less to what cannot be packed.
pub(super) fn packed_most(len: u64) -> u64 {
    len.saturating_add(len / 128).saturating_add(1024)
}

/// Unpacks what comes to at most `limit` bytes.
pub(super) fn unpack(packed: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let reader = zstd::stream::read::Decoder::with_buffer(packed).map_err(|e| e.to_string())?;
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("it unpacks to more than {limit} bytes"));
    }
    Ok(bytes)
}

/// Unpacks into `to`, at most as many bytes as it has; gives how many came.
pub(super) fn unpack_into(packed: &[u8], to: &mut [u8]) -> Result<usize, String> {
    match zstd::zstd_safe::get_frame_content_size(packed) {
        Ok(Some(said)) if said > to.len() as u64 => {
            Err(format!("it unpacks to more than {} bytes", to.len()))
        }
        _ => zstd::bulk::decompress_to_buffer(packed, to).map_err(|e| e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_packed_alike_each_time_and_bounded_when_unpacked() {
        let bytes = vec![7; 1 << 20];
        let packed = pack(&bytes).unwrap();
        assert!(packed.len() < 1000 && pack(&bytes).unwrap() == packed);
        assert!(unpack(&packed, 1 << 20).unwrap() == bytes);
        assert!(unpack(&packed, (1 << 20) - 1).is_err());
        assert!(unpack(&packed[..packed.len() - 1], 1 << 20).is_err());
        assert!(unpack(b"no", 10).is_err());
        let mut place = vec![0; 1 << 20];
        assert!(unpack_into(&packed, &mut place).unwrap() == 1 << 20 && place == bytes);
        assert!(unpack_into(&packed, &mut place[1..]).unwrap_err().contains("more than 1048575"));
        assert!(unpack_into(&packed[..packed.len() - 1], &mut place).is_err());
        assert!(unpack_into(b"no", &mut place).is_err());
    }

    #[test]
    fn what_cannot_be_packed_grows_by_little() {
        let mut odd = 1_u32;
        let noise = |len: usize| {
            (0..len)
                .map(|_| {
                    odd = odd.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (odd >> 24) as u8
                })
                .collect::<Vec<_>>()
        };
        for bytes in [0, 1, 1000, 1 << 20].map(noise) {
            let packed = pack(&bytes).unwrap().len() as u64;
            assert!(packed <= packed_most(bytes.len() as u64), "{packed} of {}", bytes.len());
        }
    }
}
