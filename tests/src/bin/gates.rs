//! The gate for the model: fifty prompts of 8 bars, four bars of answer each, against chance. Ends with 1 when the model
//! is not clearly better than its own notes shuffled and than untrained weights of the same shape.

use std::process::ExitCode;

use anyhow::Result;
use continuo_inference::{Event, Model};
use continuo_tests::gates::{
    Figures, Made, answers, events, interval, judge, of, prompts, shuffled, untrained,
};

const PROMPTS: usize = 50;

fn main() -> Result<ExitCode> {
    let prompts = prompts(PROMPTS)?;
    let model = answers(&Model::from_compact(continuo_models::DEFAULT)?, &prompts)?;
    let random = Model::from_compact(&untrained(continuo_models::DEFAULT, 1)?)?;
    let others = [("shuffled", shuffled(&model, 1)), ("untrained", answers(&random, &prompts)?)];
    let figures = measure(&prompts, &model);
    println!(
        "{PROMPTS} prompts of 8 bars, 4 bars of answer each, top-p 0.95; mean (95 % bootstrap interval over prompts)"
    );
    println!(
        "{:<26}{}",
        "", "in key               off grid, ticks      notes a second       repeated 3-grams     doubled"
    );
    row("model", &figures);
    let mut clear = true;
    let mut verdicts = Vec::new();
    for (name, answers) in &others {
        let other = measure(&prompts, answers);
        row(name, &other);
        let verdict = judge(&figures, &other);
        clear &= verdict.clear();
        verdicts.push((name, verdict));
    }
    for (name, verdict) in verdicts {
        let (key, grid) = (verdict.in_key, verdict.on_grid);
        println!(
            "model against {name}: {:+.3} in key ({:+.3} to {:+.3}), {:+.2} ticks nearer to the grid ({:+.2} to {:+.2}): {}",
            key.mean,
            key.low,
            key.high,
            grid.mean,
            grid.low,
            grid.high,
            if verdict.clear() { "clearly better" } else { "NOT CLEARLY BETTER" }
        );
    }
    Ok(if clear { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(prompts: &[Made], answers: &[Vec<Event>]) -> Vec<Figures> {
    let one = |(made, answer): (&Made, &Vec<Event>)| of(&events(&made.notes), answer, made.tempo);
    prompts.iter().zip(answers).map(one).collect()
}

fn row(name: &str, figures: &[Figures]) {
    let columns: [fn(&Figures) -> Option<f64>; 5] =
        [|f| f.in_key, |f| f.off_grid, |f| f.pace, |f| f.repeated, |f| f.doubled];
    let cells = columns.map(|of| {
        let i = interval(&figures.iter().map(of).collect::<Vec<_>>());
        format!("{:<21}", format!("{:.2} ({:.2} to {:.2})", i.mean, i.low, i.high))
    });
    println!("{name:<26}{}", cells.concat());
}
