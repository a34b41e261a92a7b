//! The reference path against the golden logits, and the model against it.

mod golden;

use continuo_inference::device::Place;
use continuo_inference::generate::logits_of;
use continuo_inference::reference::{Device, Reference};
use continuo_inference::{Feed, Model, Precision};

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

/// The way that graphics processors go, walked on the processor: a model that steps several caches together, forgets and
/// forks, as the exact one does.
#[test]
fn a_model_on_a_device_is_the_exact_one() {
    let folder = golden::Folder::of("device", "config_inv.json");
    let exact = Model::load(&folder.0).unwrap();
    let model = Model::load_as(&folder.0, Precision::On(Place::Tensors)).unwrap();
    assert!(model.instead().is_none() && model.most_together() > 1);
    let ids: Vec<u32> = (0..60).map(|i| i * 701 % 27_000).collect();
    let near = |what: &str, state: &[f32], ids: &[u32]| {
        let expected = exact.feed(&mut exact.cache(), ids);
        golden::near(what, &model.logits(state, 11_000..12_000), &exact.logits(&expected, 11_000..12_000));
    };
    let mut caches = vec![model.cache(), model.cache()];
    near("a prompt", &model.feed(&mut caches[0], &ids[..40]), &ids[..40]);
    model.feed(&mut caches[1], &ids[..7]);
    let fork = caches[0].fork();
    caches.push(fork);
    caches[2].truncate(11);
    let parts = [&ids[40..41], &ids[7..10], &ids[11..12]];
    let feeds = caches.iter_mut().zip(parts).map(|(cache, ids)| Feed { cache, ids });
    let states = model.feed_all(&mut feeds.collect::<Vec<_>>(), &|| true).unwrap();
    for (state, len) in states.iter().zip([41, 10, 12]) {
        near("side by side", state, &ids[..len]);
    }
    for (mine, theirs) in model.hidden(&ids).iter().zip(exact.hidden(&ids)) {
        golden::near("hidden states", mine, &theirs);
    }
    assert!(model.feed_all(&mut [], &|| false).is_none());
}

#[test]
fn a_device_that_is_not_there_is_said_and_the_processor_plays() {
    let folder = golden::Folder::of("no-device", "config_inv.json");
    for place in [Place::Cuda, Place::Metal] {
        let model = Model::load_as(&folder.0, Precision::On(place)).unwrap();
        // Where there is one, it is used.
        let played = model.feed(&mut model.cache(), &[55_026, 3, 10_010]);
        assert!(played.iter().all(|x| x.is_finite()) && !played.is_empty());
        let here = model.sizes().is_some();
        assert_eq!(here, model.instead().is_some(), "{place:?}: {:?}", model.instead());
    }
    let model = Model::load_as(&folder.0, Precision::On(Place::Processor)).unwrap();
    assert!(model.sizes().is_some() && model.instead().is_none());
}
