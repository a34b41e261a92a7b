//! The engine by itself.

use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use continuo_inference::Model;
use continuo_inference::kernel::{Bits, Kernel};

use crate::busy::Busy;
use crate::memory::Held;
use crate::shape::{self, Shape};
use crate::{arithmetic, load, memory, play};

/// What is measured.
#[derive(Args)]
pub struct Asked {
    /// Only this model.
    #[arg(value_enum)]
    shape: Option<Shape>,
    /// Runs of each.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Threads.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Bits of the weights between the embeddings.
    #[arg(long, value_delimiter = ',', default_values = ["8", "4"], value_parser = shape::bits)]
    bits: Vec<Bits>,
}

/// All of it.
pub fn measure(asked: &Asked) -> Result<()> {
    println!("median (least to most) of {}; kernels here: {:?}", asked.rounds, Kernel::here());
    for shape in [Shape::Default, Shape::Small] {
        if asked.shape.is_some_and(|wanted| wanted != shape) {
            continue;
        }
        println!("\n{}", shape.title());
        for (&threads, &bits) in asked.threads.iter().flat_map(|t| asked.bits.iter().map(move |b| (t, b))) {
            println!("{threads} thread{}, int{}", if threads == 1 { "" } else { "s" }, shape::word(bits));
            one(shape, threads, bits, asked.rounds)?;
        }
    }
    Ok(())
}

fn one(shape: Shape, threads: usize, bits: Bits, rounds: usize) -> Result<()> {
    let model = loading(shape, threads, bits)?;
    prompts(&model, threads, rounds);
    tokens(&model, threads, rounds);
    if threads > 1 {
        beside_a_busy_one(&model, &*shape.model(1, bits)?, rounds)?;
    }
    Ok(())
}

/// Loads it, in a process of its own and here.
fn loading(shape: Shape, threads: usize, bits: Bits) -> Result<Arc<Model>> {
    if shape == Shape::Small {
        shape::shelf()?.clear()?;
        let (seconds, most) = load::watched(shape, threads, bits)?;
        println!("  the first load of all          {:.1} ms", 1000.0 * seconds);
        held(&most, load::needed(&*shape.model(threads, bits)?) as f64);
    }
    let (seconds, most) = load::watched(shape, threads, bits)?;
    let model = shape.model(threads, bits)?;
    let (all, needed) = (model.sizes().unwrap_or_default().0, load::needed(&model) as f64);
    println!("  loading                        {:.1} ms", 1000.0 * seconds);
    println!(
        "  weights                        {:.1} MB, with one cache {:.1} MB",
        all as f64 / 1e6,
        needed / 1e6
    );
    held(&most, needed);
    Ok(model)
}

/// The most that a process held, of what weights and a cache need.
fn held(most: &Held, needed: f64) {
    println!(
        "    most held to the first token {:.1} MB, {:.2} times weights and a cache; its own {:.1} MB ({:.2}), files {:.1} MB",
        most.all / 1e6,
        most.all / needed,
        most.own / 1e6,
        most.own / needed,
        most.files / 1e6
    );
}

/// Prompts, and what arithmetic lets through.
fn prompts(model: &Model, threads: usize, rounds: usize) {
    let ids = play::ids();
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    let mut seconds = Vec::new();
    for _ in 0..rounds {
        let rate = arithmetic::rate(threads);
        let prompt = play::prefill(model, 1)[0];
        times.push(prompt / arithmetic::floor(model.config(), ids.len(), rate));
        rates.push(rate);
        seconds.push(prompt);
    }
    for list in [&mut rates, &mut times, &mut seconds] {
        list.sort_by(f64::total_cmp);
    }
    let prefill = play::rates(&seconds, ids.len());
    println!("  prefill of {} tokens          {}", ids.len(), play::shown(&prefill, 1.0, "tokens/s"));
    println!(
        "  of the arithmetic's floor      {}: its matrices alone at {}",
        play::shown(&times, 1.0, "times"),
        play::shown(&rates, 1e-9, "GOP/s")
    );
    let first = play::first(model, rounds);
    println!("  first token after them         {}", play::shown(&first, 1000.0, "ms"));
}

/// Tokens, and what memory lets through.
fn tokens(model: &Model, threads: usize, rounds: usize) {
    let (all, step) = model.sizes().unwrap_or_default();
    let bytes = step + play::cache_bytes(model);
    let batches = [(1, false), (4, false), (8, false), (4, true), (8, true)];
    let mut limits = Vec::new();
    let (mut rates, mut shares, mut gains) =
        ([const { Vec::new() }; 5], [const { Vec::new() }; 5], [const { Vec::new() }; 5]);
    for _ in 0..rounds {
        let mut alone = 0.0;
        for (place, (batch, one_prompt)) in batches.into_iter().enumerate() {
            let limit = memory::rate(threads, all) / bytes as f64;
            let rate = if one_prompt { play::variations(model, batch) } else { play::decode(model, batch) };
            if batch == 1 {
                alone = rate;
            }
            rates[place].push(rate);
            shares[place].push(rate / limit);
            gains[place].push(rate / alone);
            limits.push(limit);
        }
    }
    let lists = rates.iter_mut().chain(&mut shares).chain(&mut gains);
    lists.chain([&mut limits]).for_each(|list| list.sort_by(f64::total_cmp));
    for (place, (batch, one_prompt)) in batches.into_iter().enumerate() {
        println!(
            "  decode of 192, batch {batch}{} {}; {} of the limit at batch 1; {} of one after the other",
            if one_prompt { ", one prompt" } else { "        " },
            play::shown(&rates[place], 1.0, "tokens/s"),
            play::shown(&shares[place], 1.0, "times"),
            play::shown(&gains[place], 1.0, "times")
        );
    }
    println!(
        "  limit: {:.1} MB a token, memory lets through {}",
        bytes as f64 / 1e6,
        play::shown(&limits, 1.0, "tokens/s")
    );
}

/// Tokens while another program has a processor, against one thread.
fn beside_a_busy_one(model: &Model, single: &Model, rounds: usize) -> Result<()> {
    let (mut busy, mut quiet, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let one = play::decode(single, 1);
        let other = Busy::start()?;
        let (two, one_beside) = (play::decode(model, 1), play::decode(single, 1));
        drop(other);
        busy.push(two);
        quiet.push(two / one);
        both.push(two / one_beside);
    }
    for list in [&mut busy, &mut quiet, &mut both] {
        list.sort_by(f64::total_cmp);
    }
    println!(
        "  batch 1 with one core busy     {}; {} of one thread on a quiet machine, {} of one beside it too",
        play::shown(&busy, 1.0, "tokens/s"),
        play::shown(&quiet, 1.0, "times"),
        play::shown(&both, 1.0, "times")
    );
    Ok(())
}
