//! The operations on triplets, against the reference.

mod golden;

use continuo_inference::compound::{self, Fold};
use continuo_inference::ops;
use serde_json::{Value, json};

fn result(op: &str, args: &Value) -> Option<Value> {
    let tokens = golden::numbers(&args["tokens"]);
    let seconds = args["seconds"] == true;
    let time = |name: &str| {
        if seconds { ops::ticks(args[name].as_f64().unwrap()) } else { args[name].as_i64().unwrap_or(0) }
    };
    let instrument = args["instr"].as_i64();
    let list = |name: &str| golden::numbers(&args[name]);
    Some(match op.trim_end_matches("_interleaved") {
        "clip" => {
            let cut = args["clip_duration"].as_bool().unwrap_or(true);
            json!(ops::clip(&tokens, time("start"), time("end"), cut))
        }
        "translate" => json!(ops::translate(&tokens, time("dt")).ok()?),
        "relativise_with_separator" => {
            json!(ops::translate(&tokens, -ops::min_time(&tokens, None)).ok()?)
        }
        "pad" => json!(ops::pad(&tokens, time("end_time"), 100).ok()?),
        "pad_density" => json!(ops::pad(&tokens, time("end_time"), time("density")).ok()?),
        "pad_unpad" => json!(ops::unpad(&ops::pad(&tokens, time("end_time"), 100).ok()?)),
        "unpad" => json!(ops::unpad(&tokens)),
        "sort" => json!(ops::sort(&tokens)),
        "split" => json!(ops::split(&tokens)),
        "sparsity" => json!(ops::sparsity(&tokens).ok()?),
        "mask" => {
            json!(ops::mask(&tokens, args["start"].as_f64().unwrap(), args["end"].as_f64().unwrap()))
        }
        "min_time" => json!(ops::min_time(&tokens, instrument)),
        "max_time" => json!(ops::max_time(&tokens, instrument)),
        "max_time_seconds" => json!(ops::max_time(&tokens, None) as f64 / 100.0),
        "get_instruments" => json!(ops::get_instruments(&tokens).into_iter().collect::<Vec<_>>()),
        "extract_instruments" => json!(ops::extract_instruments(&tokens, &list("instruments")).ok()?),
        "anticipate" => json!(ops::anticipate(&list("events"), &list("controls"), time("delta")).ok()?),
        "anticipate_default" => json!(ops::anticipate(&list("events"), &list("controls"), 500).ok()?),
        "combine" => json!(ops::combine(&list("events"), &list("controls"))),
        "int_ticks" => {
            json!(golden::floats(&args["seconds"]).into_iter().map(ops::ticks).collect::<Vec<_>>())
        }
        "events_to_compound" => {
            let notes = compound::from_events(&tokens, Fold::ByToken).ok()?;
            json!(notes.into_iter().flat_map(|note| note.flat()).collect::<Vec<_>>())
        }
        _ => panic!("no operation {op}"),
    })
}

#[test]
fn every_operation_as_in_the_reference() {
    let file = golden::read("ops.json");
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 332);
    for vector in vectors {
        let (op, args) = (vector["op"].as_str().unwrap(), &vector["args"]);
        let empty = op == "events_to_compound" && args["tokens"] == json!([]);
        // The reference fails on nothing; nothing in, nothing out is more useful.
        let expected = if empty { Some(json!([])) } else { vector["result"].get("ok").cloned() };
        assert_eq!(result(op, args), expected, "{op} {args}");
    }
}

#[test]
#[should_panic(expected = "NaN apart")]
fn what_is_no_number_is_near_to_nothing() {
    golden::near("a row", &[0.5, f32::NAN, 0.5], &[0.5; 3]);
}
