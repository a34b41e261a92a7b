//! Which rows are open, and where the nucleus ends, against the reference.

mod golden;

use continuo_inference::masks;
use serde_json::json;

#[test]
fn masks_leave_open_what_the_reference_leaves_open() {
    let file = golden::read("gen/sampler_unit.json");
    let all = file["masks"].as_array().unwrap();
    assert_eq!(all.len(), 44);
    for mask in all {
        let name = mask["fn"].as_str().unwrap();
        let slot = match name {
            "safe(0)+future" => 0,
            "safe(2)+instr" => 2,
            _ => mask["idx"].as_u64().unwrap() as usize,
        };
        let history = golden::numbers(&mask["history"]);
        let ranges = masks::legal(slot, mask["curtime"].as_i64().unwrap_or(0), &history);
        let mut logits = vec![0.0; mask["rows"].as_u64().unwrap() as usize];
        masks::apply(&mut logits, &ranges);
        let pairs: Vec<_> = ranges.iter().map(|range| [range.start, range.end]).collect();
        assert_eq!(json!(pairs), mask["allowed"], "{mask}");
        for (row, logit) in logits.iter().enumerate() {
            assert_eq!(logit.is_finite(), ranges.iter().any(|range| range.contains(&row)), "row {row}");
        }
    }
}

#[test]
fn nuclei_keep_what_the_reference_keeps() {
    let file = golden::read("gen/sampler_unit.json");
    let all = file["nucleus"].as_array().unwrap();
    assert_eq!(all.len(), 27);
    let mut undecided = 0;
    for nucleus in all {
        let values = nucleus["logits"].as_array().unwrap();
        let mut logits: Vec<f32> =
            values.iter().map(|value| value.as_f64().map_or(f32::NEG_INFINITY, |v| v as f32)).collect();
        masks::nucleus(&mut logits, nucleus["top_p"].as_f64().unwrap());
        let kept: Vec<_> = (0..logits.len() as i64).filter(|row| logits[*row as usize].is_finite()).collect();
        let theirs = golden::numbers(&nucleus["kept"]);
        // Nearer to the threshold than f32 can tell, the order of a sum decides: one row more or less.
        let top_p = nucleus["top_p"].as_f64().unwrap();
        if top_p < 1.0 && nucleus["min_cdf_margin"].as_f64().unwrap() < 1.2e-7 {
            undecided += 1;
            assert!(kept.len().abs_diff(theirs.len()) <= 1, "{}", nucleus["top_p"]);
        } else {
            assert_eq!(kept, theirs, "{}", nucleus["top_p"]);
        }
    }
    assert_eq!(undecided, 1);
}
