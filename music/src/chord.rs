//! The chord of keys that sound together.

/// Name of a root; flats where they are more usual.
const ROOTS: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

/// Steps over the root, a bit each, and what is written behind it; what comes first is preferred.
const KINDS: [(u16, &str); 17] = [
    (steps(&[0, 4, 7]), ""),
    (steps(&[0, 3, 7]), "m"),
    (steps(&[0, 4, 7, 10]), "7"),
    (steps(&[0, 4, 10]), "7"),
    (steps(&[0, 4, 7, 11]), "maj7"),
    (steps(&[0, 4, 11]), "maj7"),
    (steps(&[0, 3, 7, 10]), "m7"),
    (steps(&[0, 3, 10]), "m7"),
    (steps(&[0, 3, 6]), "dim"),
    (steps(&[0, 3, 6, 9]), "dim7"),
    (steps(&[0, 3, 6, 10]), "m7b5"),
    (steps(&[0, 4, 8]), "aug"),
    (steps(&[0, 2, 4, 7, 10]), "9"),
    (steps(&[0, 2, 4, 7]), "add9"),
    (steps(&[0, 3, 7, 11]), "m(maj7)"),
    (steps(&[0, 5, 7]), "sus4"),
    (steps(&[0, 2, 7]), "sus2"),
];

const fn steps(list: &[u16]) -> u16 {
    let (mut bits, mut index) = (0, 0);
    while index < list.len() {
        bits |= 1 << list[index];
        index += 1;
    }
    bits
}

/// The chord as text ("Am7", "C/E"), or nothing where it is none that is known. The lowest key is taken for the root
/// where it can be.
pub fn name(keys: impl Iterator<Item = u8>) -> String {
    let keys: Vec<u8> = keys.collect();
    let Some(&lowest) = keys.iter().min() else { return String::new() };
    let bass = usize::from(lowest % 12);
    let roots = (0..12).map(|step| (bass + step) % 12);
    let found = roots.into_iter().find_map(|root| {
        let over = |key: &u8| 1_u16 << ((usize::from(key % 12) + 12 - root) % 12);
        let sounding = keys.iter().map(over).fold(0, |all, one| all | one);
        KINDS.iter().find(|(steps, _)| *steps == sounding).map(|(_, kind)| (root, *kind))
    });
    match found {
        Some((root, kind)) if root == bass => format!("{}{kind}", ROOTS[root]),
        Some((root, kind)) => format!("{}{kind}/{}", ROOTS[root], ROOTS[bass]),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(keys: &[u8]) -> String {
        name(keys.iter().copied())
    }

    #[test]
    fn chords_in_any_octave_and_order() {
        assert_eq!(named(&[60, 64, 67]), "C");
        assert_eq!(named(&[36, 52, 67, 72, 84]), "C");
        assert_eq!(named(&[57, 60, 64, 67]), "Am7");
        assert_eq!(named(&[55, 59, 62, 65]), "G7");
        assert_eq!(named(&[53, 57, 64]), "Fmaj7");
        assert_eq!(named(&[59, 62, 65, 69]), "Bm7b5");
        assert_eq!(named(&[62, 67, 69]), "Dsus4");
    }

    #[test]
    fn the_bass_is_told_where_it_is_not_the_root() {
        assert_eq!(named(&[52, 60, 67]), "C/E");
        assert_eq!(named(&[60, 65, 69]), "F/C");
    }

    #[test]
    fn what_is_no_chord_has_no_name() {
        for keys in [&[][..], &[60], &[60, 67], &[60, 61, 62]] {
            assert_eq!(named(keys), "");
        }
    }
}
