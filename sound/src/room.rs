//! A small room of four damped combs side by side, and the limiter behind it.

const COMBS: usize = 4;
/// How long each comb is, in seconds: two of the left, two of the right.
const SECONDS: [f64; COMBS] = [0.0297, 0.0371, 0.0411, 0.0337];

pub struct Room {
    /// What went into the combs, a power of two of samples.
    line: Vec<[f32; COMBS]>,
    at: usize,
    delays: [usize; COMBS],
    damp: [f32; COMBS],
    /// Samples since the last input; at the most it is silent.
    idle: u32,
    tail: u32,
    peak: f32,
    fall: f32,
}

impl Room {
    pub fn new(rate: f64) -> Self {
        let delays = SECONDS.map(|seconds| (seconds * rate) as usize + 1);
        let longest = delays.into_iter().fold(0, usize::max);
        let mut line = vec![[0.0; COMBS]; (longest + 1).next_power_of_two()];
        // Zeroes from the system are pages that it gives at the first touch: not on the audio thread.
        std::hint::black_box(&mut line).fill([0.0; COMBS]);
        Self {
            line,
            at: 0,
            delays,
            damp: [0.0; COMBS],
            idle: u32::MAX,
            tail: (2.0 * rate) as u32,
            peak: 0.0,
            fall: (-1.0 / (0.15 * rate)).exp() as f32,
        }
    }

    /// Forget everything that rings. Realtime: yes.
    pub fn clear(&mut self) {
        self.line.fill([0.0; COMBS]);
        (self.damp, self.peak, self.idle) = ([0.0; COMBS], 0.0, u32::MAX);
    }

    /// One sample through the room, so loud, and the limiter. Two seconds after the last input it is exactly silent. Realtime: yes.
    #[inline]
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
        let [a, b, c, d] = self.ring(0.12 * (left + right));
        let (l, r) = ((left + 0.35 * (a + b)) * loud, (right + 0.35 * (c + d)) * loud);
        // What comes next waits for nothing but the product: this is the longest chain of a sample.
        let (loudest, fallen) = (l.abs().max(r.abs()).max(1e-9), self.peak * self.fall);
        self.peak = if fallen > loudest { fallen } else { loudest };
        let gain = if self.peak > 0.97 { 0.97 / self.peak } else { 1.0 };
        (l * gain, r * gain)
    }

    /// What comes out of the combs while this goes in.
    #[inline]
    fn ring(&mut self, input: f32) -> [f32; COMBS] {
        let (at, mask) = (self.at, self.line.len() - 1);
        let line = self.line.as_slice();
        let back = |delay: usize| line.get(at.wrapping_sub(delay) & mask).copied().unwrap_or_default();
        let [a, b, c, d] = self.delays.map(back);
        let out = [a[0], b[1], c[2], d[3]];
        let mut kept = [0.0; COMBS];
        for ((kept, damp), out) in kept.iter_mut().zip(&mut self.damp).zip(out) {
            *damp += 0.6 * (out - *damp);
            *kept = input + 0.72 * *damp;
            // Numbers that are almost none take a processor long.
            *kept = if kept.abs() < 1e-12 { 0.0 } else { *kept };
        }
        if let Some(cells) = self.line.get_mut(at) {
            *cells = kept;
        }
        self.at = (at + 1) & mask;
        out
    }
}
