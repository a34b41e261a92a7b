//! The piano roll: the phrase, the answer, bar lines and a playhead.

use continuo_timeline::Note;
use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use super::{ANSWER, HEARD, QUIET};
use crate::view::Picture;

/// The part of the plane that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plane {
    rect: Rect,
    from: f64,
    to: f64,
    low: u8,
    high: u8,
}

/// Draws it over the whole width.
pub fn draw(ui: &mut Ui, picture: &Picture, line: f64, height: f32) {
    let (response, painter) = ui.allocate_painter(vec2(ui.available_width(), height), Sense::hover());
    let plane = Plane::over(response.rect, picture, line);
    painter.rect_filled(plane.rect, 4.0, Color32::from_rgb(16, 18, 22));
    for x in plane.bars(picture.bar) {
        painter.vline(x, plane.rect.y_range(), Stroke::new(1.0, Color32::from_rgb(48, 52, 60)));
    }
    for key in (plane.low..=plane.high).filter(|key| key % 12 == 0) {
        let at = pos2(plane.rect.left() + 4.0, plane.y(key));
        painter.text(
            at,
            Align2::LEFT_TOP,
            format!("C{}", i16::from(key) / 12 - 1),
            FontId::proportional(10.0),
            QUIET,
        );
    }
    for note in &picture.heard {
        draw_note(&painter, &plane, note, HEARD, Zone::Played);
    }
    for note in &picture.answer {
        draw_note(&painter, &plane, note, ANSWER, Zone::of(note.at.0, line, picture.horizon));
    }
    if let Some(at) = picture.answer_at.filter(|at| plane.shows(*at)) {
        painter.vline(plane.x(at), plane.rect.y_range(), Stroke::new(1.0, ANSWER));
    }
    if plane.shows(line) {
        painter.vline(plane.x(line), plane.rect.y_range(), Stroke::new(1.5, Color32::WHITE));
    }
    if picture.heard.is_empty() {
        let words = "Play a phrase and stop: the music goes on.";
        painter.text(plane.rect.center(), Align2::CENTER_CENTER, words, FontId::proportional(16.0), QUIET);
    }
}

/// How sure a note is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Zone {
    /// It was heard.
    Played,
    /// It comes, whatever the player does but to come in.
    Committed,
    /// It may still be replaced.
    Planned,
}

impl Zone {
    fn of(at: f64, line: f64, horizon: f64) -> Self {
        match at - line {
            ahead if ahead > horizon => Self::Planned,
            ahead if ahead > 0.0 => Self::Committed,
            _ => Self::Played,
        }
    }
}

/// What is only planned is drawn as a ghost.
fn draw_note(painter: &Painter, plane: &Plane, note: &Note, colour: Color32, zone: Zone) {
    let Some(rect) = plane.note(note) else { return };
    let light = 0.45 + 0.55 * f32::from(note.velocity.0.min(127)) / 127.0;
    match zone {
        Zone::Played => painter.rect_filled(rect, 2.0, colour.gamma_multiply(light)),
        Zone::Committed => painter.rect_filled(rect, 2.0, colour.gamma_multiply(0.7 * light)),
        Zone::Planned => {
            painter.rect_filled(rect, 2.0, colour.gamma_multiply(0.15));
            painter.rect_stroke(rect, 2.0, Stroke::new(1.0, colour.gamma_multiply(0.7)), StrokeKind::Inside)
        }
    };
}

impl Plane {
    fn over(rect: Rect, picture: &Picture, line: f64) -> Self {
        let notes = || picture.heard.iter().chain(&picture.answer).filter(|note| note.at.0.is_finite());
        let end = notes().map(|note| note.at.0 + note.len.0).fold(0.0_f64, f64::max);
        let line = if line.is_finite() { line } else { 0.0 };
        let to = end.max(line.min(end + 16.0)).max(16.0);
        let first = notes().map(|note| note.at.0).fold(to - 4.0, f64::min).max(to - 64.0);
        Self {
            rect,
            from: first.floor(),
            to,
            low: notes().map(|note| note.key.0).min().unwrap_or(52).saturating_sub(3),
            high: notes().map(|note| note.key.0).max().unwrap_or(76).saturating_add(3).min(127),
        }
    }

    fn shows(&self, at: f64) -> bool {
        at >= self.from && at <= self.to
    }

    #[allow(clippy::cast_possible_truncation)] // a place on the screen
    fn x(&self, at: f64) -> f32 {
        let share = ((at - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.rect.left() + self.rect.width() * share as f32
    }

    fn y(&self, key: u8) -> f32 {
        let rows = f32::from(self.high.saturating_sub(self.low)) + 1.0;
        self.rect.top() + self.rect.height() * f32::from(self.high.saturating_sub(key)) / rows
    }

    fn note(&self, note: &Note) -> Option<Rect> {
        let end = note.at.0 + note.len.0;
        if !end.is_finite() || end < self.from || note.at.0 > self.to {
            return None;
        }
        let row = self.rect.height() / (f32::from(self.high.saturating_sub(self.low)) + 1.0);
        let (left, right) = (self.x(note.at.0), self.x(end));
        let top = self.y(note.key.0);
        let corner: Pos2 = pos2(right.max(left + 2.0) - 0.5, top + (row - 1.0).max(1.0));
        Some(Rect::from_min_max(pos2(left, top), corner))
    }

    fn bars(&self, (bar, length): (f64, f64)) -> Vec<f32> {
        if !(length.is_finite() && bar.is_finite()) || length < 0.25 {
            return Vec::new();
        }
        let first = bar + ((self.from - bar) / length).ceil() * length;
        (0..400)
            .map(|index| first + f64::from(index) * length)
            .take_while(|at| *at <= self.to)
            .map(|at| self.x(at))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use continuo_timeline::{Beats, Channel, Instrument, Key, Velocity};

    use super::*;

    fn note(at: f64, len: f64, key: u8) -> Note {
        let (velocity, instrument, channel) = (Velocity(80), Instrument(0), Channel(0));
        Note { at: Beats(at), len: Beats(len), key: Key(key), velocity, instrument, channel }
    }

    fn plane(heard: Vec<Note>, line: f64) -> Plane {
        let rect = Rect::from_min_size(pos2(10.0, 20.0), vec2(800.0, 200.0));
        Plane::over(rect, &Picture { heard, bar: (0.0, 4.0), ..Picture::default() }, line)
    }

    #[test]
    fn notes_lie_inside_and_in_order() {
        let notes = vec![note(0.0, 1.0, 60), note(1.0, 1.0, 64)];
        let plane = plane(notes.clone(), 2.0);
        let rects: Vec<Rect> = notes.iter().map(|note| plane.note(note).unwrap()).collect();
        assert!(rects.iter().all(|rect| plane.rect.contains_rect(*rect)), "{rects:?}");
        assert!(rects[0].left() < rects[1].left() && rects[0].top() > rects[1].top());
        assert_eq!(plane.bars((0.0, 4.0)).len(), 5);
    }

    #[test]
    fn a_note_is_planned_then_committed_then_played() {
        let zone = |line| Zone::of(10.0, line, 0.5);
        assert_eq!(zone(8.0), Zone::Planned);
        assert_eq!(zone(9.6), Zone::Committed);
        assert_eq!(zone(10.0), Zone::Played);
        assert_eq!(zone(f64::NAN), Zone::Played);
    }

    #[test]
    fn nonsense_gives_no_nonsense() {
        for line in [f64::NAN, f64::INFINITY, -1e12, 1e12] {
            let plane = plane(vec![note(f64::NAN, 1.0, 60), note(1e15, 1e15, 127), note(-5.0, 0.0, 0)], line);
            assert!(plane.x(line).is_finite() || line.is_nan());
            for note in [note(f64::NAN, 1.0, 60), note(0.0, f64::INFINITY, 200)] {
                assert_eq!(plane.note(&note), None);
            }
        }
        assert!(plane(Vec::new(), 0.0).bars((f64::NAN, 0.0)).is_empty());
    }
}
