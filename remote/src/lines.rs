//! Lines out of pieces that end anywhere.

/// Longest line, in bytes. Those of the service have a hundred or two.
const LONGEST: usize = 1 << 20;

/// What came and is not yet a line.
#[derive(Default)]
pub struct Lines {
    kept: Vec<u8>,
    /// How much of it is known to hold no end.
    seen: usize,
}

impl Lines {
    /// Another piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(piece);
    }

    /// Whether a line goes on for longer than any that is meant. Asked when whole lines are taken.
    pub fn is_endless(&self) -> bool {
        self.kept.len() > LONGEST
    }

    /// The next whole line, without its end.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        match self.kept.iter().skip(self.seen).position(|byte| *byte == b'\n') {
            Some(at) => {
                let mut line: Vec<u8> = self.kept.drain(..=self.seen + at).collect();
                self.seen = 0;
                line.pop();
                Some(line)
            }
            None => {
                self.seen = self.kept.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_line_without_end_is_seen() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; 1 << 20]);
        assert!(lines.next_line().is_none() && !lines.is_endless());
        lines.push(b"x");
        assert!(lines.is_endless());
    }

    #[test]
    fn lines_are_whole_wherever_pieces_end() {
        let text = b"one\n\ntwo three\nfour";
        for cut in 0..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in [&text[..cut], &text[cut..]] {
                lines.push(piece);
                found.extend(std::iter::from_fn(|| lines.next_line()));
            }
            assert_eq!(found, [b"one".to_vec(), b"".to_vec(), b"two three".to_vec()], "{cut}");
        }
    }
}
