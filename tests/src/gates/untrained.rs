//! A model of the shape of another, with weights that nobody trained.

use anyhow::{Context, Result};
use serde_json::Value;

use super::prompts::Draws;

/// Spread of freshly initialised weights (GPT-2's).
const SPREAD: f32 = 0.02;

/// A compact file (models/FORMAT.md) with the header of `compact` and weights drawn anew from `seed`: matrices even
/// within about ±0.035, norms 1, biases 0.
pub fn untrained(compact: &[u8], seed: u64) -> Result<Vec<u8>> {
    let length = compact.first_chunk::<8>().context("too short for a header")?;
    let data = 8 + usize::try_from(u64::from_le_bytes(*length))?;
    let header: Value = serde_json::from_slice(compact.get(8..data).context("cut in its header")?)?;
    let mut bytes = compact.to_vec();
    let mut draws = Draws(seed);
    for (name, tensor) in header.as_object().context("no tensors")? {
        if name == "__metadata__" || name == "wte.rows" {
            continue;
        }
        let place = |index: usize| tensor["data_offsets"][index].as_u64().context("offsets");
        let (from, to) = (data + usize::try_from(place(0)?)?, data + usize::try_from(place(1)?)?);
        fill(name, bytes.get_mut(from..to).context("cut in its data")?, &mut draws);
    }
    Ok(bytes)
}

fn fill(name: &str, bytes: &mut [u8], draws: &mut Draws) {
    let constant = match name {
        // A scale: whole numbers even within -127 to 127 have a spread of 127/√3.
        name if name.ends_with(".scale") => Some(SPREAD * 3.0_f32.sqrt() / 127.0),
        name if name.ends_with(".bias") => Some(0.0),
        name if name.contains("ln_") => Some(1.0),
        _ => None,
    };
    match constant {
        Some(value) => {
            bytes.chunks_exact_mut(4).for_each(|cell| cell.copy_from_slice(&value.to_le_bytes()));
        }
        None => bytes.iter_mut().for_each(|cell| *cell = (draws.below(255) as i16 - 127) as i8 as u8),
    }
}
