//! The default model, inside the program: a single-file plugin has no folder to load from.
//!
//! The file is described in `FORMAT.md`, the model in `CARD.md`.

/// Aligned as the tensors in the file want it.
#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../default.safetensors"));

/// The compact file, at an address that is a multiple of 64.
pub static DEFAULT: &[u8] = &FILE.0;

#[cfg(test)]
mod tests {
    use super::DEFAULT;

    #[test]
    fn is_aligned_and_small_enough() {
        assert_eq!(DEFAULT.as_ptr().align_offset(64), 0);
        assert!(DEFAULT.len() <= 20_000_000, "{} bytes", DEFAULT.len());
    }
}
