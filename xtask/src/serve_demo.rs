//! `serve-demo`: the service with the model in the box, and what to try with it.

use anyhow::Result;

use crate::doctor;
use crate::run::{cargo, must, program, target};

/// Builds and starts it; ctrl-c stops it.
pub fn serve_demo() -> Result<()> {
    doctor::prepare(&["build"])?;
    must(&mut cargo(&["build", "--package", "continuo-service"]))?;
    println!(
        "Open http://127.0.0.1:2011 and drop a MIDI file, or:
  curl -s localhost:2011/predict -H 'Content-Type: application/json' -d '{{\"length_seconds\": 10, \"num_variations\": 3, \"seed\": 7}}'
  curl -sN localhost:2011/generate/stream -H 'Content-Type: application/json' -d '{{\"length_seconds\": 10}}'
  curl -s localhost:2011/cas -H 'Content-Type: audio/midi' --data-binary @tests/phrases/demo.mid   # gives its hash
  curl -s localhost:2011/analyze -H 'Content-Type: application/json' -d '{{\"midi_input_hash\": \"HASH\"}}'
  curl -s localhost:2011/artifacts; curl -s localhost:2011/metrics; curl -s localhost:2011/models
  target/debug/continuo continue tests/phrases/demo.mid -o more.mid --engine http://127.0.0.1:2011
What it keeps is in target/serve-demo. ctrl-c stops it."
    );
    let continuo = target().join("debug").join(format!("continuo{}", std::env::consts::EXE_SUFFIX));
    let state = target().join("serve-demo");
    let state = state.to_string_lossy();
    must(&mut program(&continuo.to_string_lossy(), &["serve", "--state", &state]))
}
