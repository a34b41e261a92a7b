//! A small room of four damped combs, and the limiter behind it.

struct Comb {
    line: Vec<f32>,
    at: usize,
    damp: f32,
}

impl Comb {
    fn next(&mut self, input: f32) -> f32 {
        let len = self.line.len();
        let Some(cell) = self.line.get_mut(self.at) else { return 0.0 };
        let out = *cell;
        self.damp += 0.6 * (out - self.damp);
        let kept = input + 0.72 * self.damp;
        *cell = if kept.abs() < 1e-12 { 0.0 } else { kept };
        self.at = if self.at + 1 >= len { 0 } else { self.at + 1 };
        out
    }
}

pub struct Room {
    combs: [Comb; 4],
    idle: u32,
    tail: u32,
    peak: f32,
    fall: f32,
}

impl Room {
    pub fn new(rate: f64) -> Self {
        let comb = |seconds: f64| Comb { line: vec![0.0; (seconds * rate) as usize + 1], at: 0, damp: 0.0 };
        Self {
            combs: [comb(0.0297), comb(0.0371), comb(0.0411), comb(0.0337)],
            idle: u32::MAX,
            tail: (2.0 * rate) as u32,
            peak: 0.0,
            fall: (-1.0 / (0.15 * rate)).exp() as f32,
        }
    }

    /// Forget everything that rings. Realtime: yes.
    pub fn clear(&mut self) {
        for comb in &mut self.combs {
            comb.line.fill(0.0);
            comb.damp = 0.0;
        }
        self.peak = 0.0;
        self.idle = u32::MAX;
    }

    /// One sample through the room, so loud, and the limiter. Two seconds after the last input it is exactly silent. Realtime: yes.
    pub fn next(&mut self, left: f32, right: f32, loud: f32) -> (f32, f32) {
        if left != 0.0 || right != 0.0 {
            self.idle = 0;
        } else if self.idle == u32::MAX {
            return (0.0, 0.0);
        } else {
            self.idle += 1;
            if self.idle >= self.tail {
                self.clear();
                return (0.0, 0.0);
            }
        }
        let [a, b, c, d] = &mut self.combs;
        let send = 0.12 * (left + right);
        let (l, r) =
            (left + 0.35 * (a.next(send) + b.next(send)), right + 0.35 * (c.next(send) + d.next(send)));
        let (l, r) = (l * loud, r * loud);
        self.peak = (self.peak * self.fall).max(l.abs()).max(r.abs()).max(1e-9);
        let gain = if self.peak > 0.97 { 0.97 / self.peak } else { 1.0 };
        (l * gain, r * gain)
    }
}
