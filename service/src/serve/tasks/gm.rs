//! General MIDI: names of programs and families (MMA, General MIDI Level 1 sound set).

#[rustfmt::skip]
const PROGRAMS: [&str; 128] = [
    "acoustic grand piano", "bright acoustic piano", "electric grand piano", "honky-tonk piano",
    "electric piano 1", "electric piano 2", "harpsichord", "clavinet",
    "celesta", "glockenspiel", "music box", "vibraphone",
    "marimba", "xylophone", "tubular bells", "dulcimer",
    "drawbar organ", "percussive organ", "rock organ", "church organ",
    "reed organ", "accordion", "harmonica", "bandoneon",
    "nylon guitar", "steel guitar", "jazz guitar", "clean guitar",
    "muted guitar", "overdriven guitar", "distortion guitar", "guitar harmonics",
    "acoustic bass", "fingered bass", "picked bass", "fretless bass",
    "slap bass 1", "slap bass 2", "synth bass 1", "synth bass 2",
    "violin", "viola", "cello", "contrabass",
    "tremolo strings", "pizzicato strings", "orchestral harp", "timpani",
    "string ensemble 1", "string ensemble 2", "synth strings 1", "synth strings 2",
    "choir aahs", "voice oohs", "synth voice", "orchestra hit",
    "trumpet", "trombone", "tuba", "muted trumpet",
    "french horn", "brass section", "synth brass 1", "synth brass 2",
    "soprano sax", "alto sax", "tenor sax", "baritone sax",
    "oboe", "english horn", "bassoon", "clarinet",
    "piccolo", "flute", "recorder", "pan flute",
    "blown bottle", "shakuhachi", "whistle", "ocarina",
    "square lead", "sawtooth lead", "calliope lead", "chiff lead",
    "charang lead", "voice lead", "fifths lead", "bass and lead",
    "new age pad", "warm pad", "polysynth pad", "choir pad",
    "bowed pad", "metallic pad", "halo pad", "sweep pad",
    "rain", "soundtrack", "crystal", "atmosphere",
    "brightness", "goblins", "echoes", "sci-fi",
    "sitar", "banjo", "shamisen", "koto",
    "kalimba", "bagpipe", "fiddle", "shanai",
    "tinkle bell", "agogo", "steel drums", "woodblock",
    "taiko", "melodic tom", "synth drum", "reverse cymbal",
    "fret noise", "breath noise", "seashore", "bird tweet",
    "telephone", "helicopter", "applause", "gunshot",
];

/// Families and other words, with their first program and the one after the last.
#[rustfmt::skip]
const FAMILIES: &[(&str, u8, u8)] = &[
    ("piano", 0, 8), ("keyboard", 0, 8), ("chromatic percussion", 8, 16), ("mallets", 8, 16),
    ("organ", 16, 24), ("guitar", 24, 32), ("bass", 32, 40), ("strings", 40, 52), ("string", 40, 52),
    ("ensemble", 48, 56), ("choir", 52, 55), ("voice", 52, 55), ("vocals", 52, 55), ("brass", 56, 64),
    ("horn", 60, 61), ("saxophone", 64, 68), ("sax", 64, 68), ("reed", 64, 72), ("woodwind", 64, 80),
    ("pipe", 72, 80), ("flute", 73, 74), ("lead", 80, 88), ("pad", 88, 96), ("synth", 80, 104),
    ("synth lead", 80, 88), ("synth pad", 88, 96), ("harp", 46, 47), ("ethnic", 104, 112),
    ("percussion", 128, 129), ("drums", 128, 129), ("drum", 128, 129), ("drum kit", 128, 129),
];

/// Name of a program; 128 is the drum kit.
pub fn name(program: u8) -> &'static str {
    PROGRAMS.get(usize::from(program)).copied().unwrap_or("drums")
}

/// The programs of a word: a family, a name, or a number.
pub fn programs(word: &str) -> Option<std::ops::Range<u8>> {
    let word = word.trim().to_lowercase();
    let one = |word: &str| {
        let family = FAMILIES.iter().find(|(name, ..)| *name == word).map(|(_, from, to)| *from..*to);
        let exact = || PROGRAMS.iter().position(|name| *name == word).and_then(|at| u8::try_from(at).ok());
        family.or_else(|| exact().map(|at| at..at + 1))
    };
    if let Ok(number) = word.parse::<u8>() {
        return (number <= 128).then(|| number..number + 1);
    }
    one(&word).or_else(|| one(word.strip_suffix('s')?))
}

#[cfg(test)]
mod tests {
    use super::{name, programs};

    #[test]
    fn words_are_programs() {
        assert_eq!(programs("Piano"), Some(0..8));
        assert_eq!(programs("violins"), Some(40..41));
        assert_eq!(programs("drums"), Some(128..129));
        assert_eq!(programs("33"), Some(33..34));
        assert_eq!(programs("kazoo"), None);
        assert_eq!((name(0), name(127), name(128)), ("acoustic grand piano", "gunshot", "drums"));
    }
}
