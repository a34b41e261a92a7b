//! How keys are spelt.

const KEYS: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// The name of a key; 60 is C4.
pub fn key_name(key: i32) -> String {
    let name =
        usize::try_from(key.rem_euclid(12)).ok().and_then(|index| KEYS.get(index)).copied().unwrap_or("");
    format!("{name}{}", key.div_euclid(12) - 1)
}

/// The key of a name (any case), or of a number written out.
pub fn key_number(text: &str) -> Option<i32> {
    let text = text.trim();
    text.parse().ok().or_else(|| (0..128).find(|&key| key_name(key).eq_ignore_ascii_case(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs;

    #[test]
    fn texts_read_back() {
        for key in 0..128 {
            assert_eq!(key_number(&key_name(key)), Some(key));
        }
        assert_eq!(key_name(60), "C4");
        for program in 0..129 {
            assert_eq!(programs::number(programs::name(program)), Some(program));
        }
    }
}
