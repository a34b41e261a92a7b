//! Writes the phrases that the demo and the tests play: `cargo run -p continuo-tests --bin phrases`.

use anyhow::Result;
use continuo_tests::host::parse;
use continuo_tests::{midi, require};

/// Name, tempo, score: melodies of our own, four bars of 4/4.
const PHRASES: &[(&str, f64, &str)] = &[
    (
        "demo",
        108.0,
        "A4@0 len 0.9 vel 92 C5@1 D5@1.5 len 0.45 E5@2 len 1.4 vel 98 D5@3.5 len 0.45 vel 86 \
         C5@4 len 0.9 A4@5 len 0.45 G4@5.5 A4@6 len 1.8 vel 90 \
         F4@8 len 0.9 vel 84 A4@9 C5@9.5 len 0.45 D5@10 len 1.4 vel 96 C5@11.5 len 0.45 vel 88 \
         B4@12 len 0.9 G4@13 B4@14 len 0.45 vel 94 D5@14.5 E5@15 len 0.9 vel 98 \
         A2@0 len 3.8 vel 70 E3@0 C4@0 A2@4 E3@4 C4@4 F2@8 C3@8 A3@8 G2@12 len 3.6 D3@12 B3@12",
    ),
    (
        "stroll",
        120.0,
        "C4@0 len 0.9 vel 88 E4@1 G4@2 A4@3 G4@4 len 1.8 E4@6 len 0.9 D4@7 \
         C4@8 D4@9 E4@10 C4@11 D4@12 len 2.8 G3@15 len 0.9 \
         C3@0 len 3.8 vel 66 G3@0 A2@4 E3@4 F2@8 C3@8 G2@12 D3@12",
    ),
    (
        "waltz-feel",
        96.0,
        "D4@0 len 0.7 vel 90 F4@0.75 len 0.7 A4@1.5 len 0.45 D5@2 len 1.8 C5@4 len 0.7 A4@4.75 F4@5.5 len 0.45 G4@6 len 1.8 \
         A#4@8 len 0.7 A4@8.75 G4@9.5 len 0.45 F4@10 len 1.8 E4@12 len 0.7 F4@12.75 G4@13.5 len 0.45 A4@14 len 1.8 \
         D3@0 len 3.8 vel 64 A3@0 A2@4 E3@4 G2@8 D3@8 A2@12 E3@12",
    ),
];

fn main() -> Result<()> {
    for (name, tempo, score) in PHRASES {
        let path = require::root().join(format!("tests/phrases/{name}.mid"));
        midi::write(&path, *tempo, &[("Phrase", &parse(score))])?;
        println!("{}", path.display());
    }
    Ok(())
}
