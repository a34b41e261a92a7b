//! The reference path against the golden logits, and the model against it.

mod golden;

use continuo_inference::Model;
use continuo_inference::generate::logits_of;
use continuo_inference::reference::{Device, Reference};

#[test]
fn its_logits_are_the_golden_ones_and_ours() {
    let file = golden::read("logits/logits.json");
    for config in ["config_plain.json", "config_inv.json", "config_55030_prefixed.json"] {
        let folder = golden::Folder::of("reference", config);
        let reference = Reference::load(&folder.0, &Device::Cpu).unwrap();
        let model = Model::load(&folder.0).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        let mine = vectors.iter().filter(|vector| vector["config"] == config);
        let mut compared = 0;
        for vector in mine {
            let ids: Vec<u32> = golden::numbers(&vector["ids"]).into_iter().map(|id| id as u32).collect();
            let theirs = reference.logits(&mut reference.cache().unwrap(), &ids).unwrap();
            let what = format!("{} of {config}", vector["prompt"]);
            for (row, value) in vector["sampled"].as_object().unwrap() {
                let logit = theirs[row.parse::<usize>().unwrap()];
                golden::near(&format!("{what}, row {row}"), &[logit], &[value.as_f64().unwrap() as f32]);
            }
            golden::near(&what, &logits_of(&model)(&ids).unwrap(), &theirs);
            compared += 1;
        }
        assert!(compared >= 2, "{config}: {compared}");
    }
}

#[test]
fn a_prompt_in_parts_is_the_prompt_in_one() {
    let folder = golden::Folder::of("parts", "config_inv.json");
    let reference = Reference::load(&folder.0, &Device::Cpu).unwrap();
    let ids: Vec<u32> = (0..70).map(|i| i * 701 % 27_000).collect();
    let whole = reference.logits(&mut reference.cache().unwrap(), &ids).unwrap();
    let mut cache = reference.cache().unwrap();
    let parts = ids.chunks(9).map(|part| reference.logits(&mut cache, part).unwrap()).last().unwrap();
    golden::near("in parts", &parts, &whole);
    assert!(reference.logits(&mut cache, &[]).is_err());
    assert!(reference.logits(&mut cache, &[0; 1000]).is_err(), "more than its positions");
}
