//! The model as it is played: the same bits however it is computed, and near to the exact one.

use std::sync::Arc;

use continuo_inference::kernel::{Bits, Kernel};
use continuo_inference::{Feed, Model, Precision, vocabulary as v};

fn model(precision: Precision) -> Arc<Model> {
    Model::from_compact_as(continuo_models::DEFAULT, precision).expect("the default model loads")
}

/// A few bars of eighths, with a control or two.
fn ids(triplets: u32) -> Vec<u32> {
    let triplet = |i: u32| {
        let shift = if i % 11 == 7 { v::CONTROL_OFFSET } else { 0 };
        [v::TIME + i * 24, v::DUR + 12 + i % 5, v::NOTE + 48 + i * 7 % 32].map(|id| id + shift)
    };
    std::iter::once(v::ANTICIPATE).chain((0..triplets).flat_map(triplet)).collect()
}

/// The state after all of `ids`, fed `part` at a time.
fn state(model: &Model, ids: &[u32], part: usize) -> Vec<f32> {
    let mut cache = model.cache();
    ids.chunks(part).map(|ids| model.feed(&mut cache, ids)).last().unwrap()
}

#[test]
fn neither_parts_nor_threads_nor_neighbours_change_a_bit() {
    [Bits::Eight, Bits::Four].into_iter().for_each(nothing_changes_a_bit);
}

fn nothing_changes_a_bit(bits: Bits) {
    let ids = ids(60);
    let best = Kernel::best();
    let expected = state(&model(Precision::With(best, 1, bits)), &ids, ids.len());
    for threads in [1, 2, 3] {
        let model = model(Precision::With(best, threads, bits));
        for part in [1, 3, 8, 9, 40, 181] {
            assert_eq!(state(&model, &ids, part), expected, "{threads} threads, parts of {part}");
        }
        let mut caches: Vec<_> = (0..5).map(|_| model.cache()).collect();
        let (most, last) = ids.split_at(ids.len() - 1);
        for (number, cache) in caches.iter_mut().enumerate() {
            model.feed(cache, &most[..most.len() - 9 * number]);
        }
        let mut feeds: Vec<Feed<'_>> = caches.iter_mut().map(|cache| Feed { cache, ids: last }).collect();
        let states = model.feed_all(&mut feeds, &|| true).unwrap();
        assert_eq!(states[0], expected, "beside four others, {threads} threads");
        let logits = model.logits_all(&states.iter().map(Vec::as_slice).collect::<Vec<_>>(), 10_003..10_100);
        for (logits, state) in logits.iter().zip(&states) {
            assert_eq!(*logits, model.logits(state, 10_003..10_100));
        }
    }
}

#[test]
fn forks_go_their_own_ways_and_change_no_bit() {
    let model = model(Precision::With(Kernel::best(), 2, Bits::Eight));
    let ids = ids(60);
    for shared in [5, 16, 90, 96] {
        let mut caches = vec![model.cache()];
        model.feed(&mut caches[0], &ids[..shared]);
        for _ in 0..5 {
            let other = caches[0].fork();
            caches.push(other);
        }
        // Each goes on with another stretch, all in step; one of them forgets some of what it shares, one forks again.
        for step in 0..7 {
            let next = |fork: usize| &ids[shared + fork + step..=shared + fork + step];
            let feeds = caches.iter_mut().enumerate().map(|(fork, cache)| Feed { cache, ids: next(fork) });
            let states = model.feed_all(&mut feeds.collect::<Vec<_>>(), &|| true).unwrap();
            for (fork, got) in states.iter().enumerate() {
                let alone: Vec<u32> = [&ids[..shared], &ids[shared + fork..=shared + fork + step]].concat();
                assert_eq!(*got, state(&model, &alone, 64), "{shared} shared, fork {fork}, step {step}");
            }
        }
        caches[1].truncate(shared - 3);
        let mut again = caches[1].fork();
        let other: Vec<u32> = [&ids[..shared - 3], &ids[7..30]].concat();
        assert_eq!(model.feed(&mut again, &ids[7..30]), state(&model, &other, 64), "{shared}");
        assert_eq!(model.feed(&mut caches[1], &ids[7..30]), state(&model, &other, 64), "{shared}");
    }
}

#[test]
fn kernels_agree_and_the_exact_model_is_near() {
    let ids = ids(40);
    let exact = model(Precision::Exact);
    let theirs = exact.logits(&state(&exact, &ids, 16), 0..v::VOCABULARY);
    let of = |kernel: Kernel| {
        let model = model(Precision::With(kernel, 2, Bits::Eight));
        model.logits(&state(&model, &ids, 16), 0..v::VOCABULARY)
    };
    let ours = of(Kernel::best());
    // What is no number is the furthest.
    let far =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap();
    for kernel in Kernel::here() {
        assert!(far(&of(kernel), &ours) < 0.15, "{kernel:?}: {}", far(&of(kernel), &ours));
    }
    assert!(far(&ours, &theirs) < 1.0, "{} from the exact model", far(&ours, &theirs));
    let four = model(Precision::With(Kernel::best(), 2, Bits::Four));
    let four = four.logits(&state(&four, &ids, 16), 0..v::VOCABULARY);
    let mean = four.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).sum::<f32>() / theirs.len() as f32;
    assert!(far(&four, &ours) > 0.0 && mean < 0.5, "{mean} from the exact model on average");
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn work_that_is_no_longer_wanted_leaves_the_cache_as_it_was() {
    let (model, ids) = (model(Precision::Quick), ids(60));
    let (first, rest) = ids.split_at(90);
    let mut cache = model.cache();
    model.feed(&mut cache, first);
    let mut feeds = [Feed { cache: &mut cache, ids: rest }];
    assert!(model.feed_all(&mut feeds, &|| false).is_none());
    assert_eq!(cache.len(), 90);
    assert_eq!(model.feed(&mut cache, rest), state(&model, &ids, 1));
}

#[test]
fn hidden_states_end_with_what_feeding_gives() {
    let (model, ids) = (model(Precision::Quick), ids(20));
    let states = model.hidden(&ids);
    assert_eq!(states.len(), model.config().n_layer + 1);
    let width = model.config().n_embd;
    assert!(states.iter().all(|states| states.len() == ids.len() * width));
    assert_eq!(states.last().unwrap()[(ids.len() - 1) * width..], state(&model, &ids, 7));
}
