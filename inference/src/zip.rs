//! Stored entries of a zip archive: the form that PyTorch saves in. Nothing is unpacked.

use std::collections::BTreeMap;

/// Length of the record at an archive's end, without its comment.
const END: usize = 22;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let part = bytes.get(at..at.checked_add(N)?)?;
    Some(part.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// Every entry by its path, in place.
pub fn entries(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>, String> {
    if !bytes.starts_with(b"PK\x03\x04") {
        return Err(
            "is no zip archive (PyTorch before 1.6 saved otherwise): save it again as safetensors".into()
        );
    }
    let least = bytes.len().saturating_sub(END + 0xffff);
    let last =
        (least..bytes.len().saturating_sub(END - 1)).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"));
    let cut = || "is cut short: fetch it again".to_owned();
    let end = last.ok_or_else(cut)?;
    let count = number::<2>(bytes, end + 10).ok_or_else(cut)?;
    let mut at = number::<4>(bytes, end + 16).ok_or_else(cut)?;
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let (name, data, next) = entry(bytes, at).ok_or_else(|| {
            "has entries that are damaged, packed or beyond 4 GB: save it again as safetensors".to_owned()
        })?;
        entries.insert(name, data);
        at = next;
    }
    Ok(entries)
}

/// An entry of the directory: its path, its bytes, and where the next one is.
fn entry(bytes: &[u8], at: usize) -> Option<(String, &[u8], usize)> {
    let stored = bytes.get(at..)?.starts_with(b"PK\x01\x02") && number::<2>(bytes, at + 10)? == 0;
    let size = number::<4>(bytes, at + 24).filter(|size| stored && *size != 0xffff_ffff)?;
    let (name, extra, comment) =
        (number::<2>(bytes, at + 28)?, number::<2>(bytes, at + 30)?, number::<2>(bytes, at + 32)?);
    let path = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned();
    let local = number::<4>(bytes, at + 42)?;
    let from = local + 30 + number::<2>(bytes, local + 26)? + number::<2>(bytes, local + 28)?;
    Some((path, bytes.get(from..from.checked_add(size)?)?, at + 46 + name + extra + comment))
}
