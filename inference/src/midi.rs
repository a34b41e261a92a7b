//! Standard MIDI files, read as the reference reads them (it uses mido 1.3.3): errors, running status, lost
//! and kept deltas included. A crate that repairs files would give other notes than the models learnt from.

use thiserror::Error;

/// Why a file gives no notes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MidiError {
    /// The first chunk is not a header.
    #[error("this is not a MIDI file: it does not begin with MThd")]
    NotMidi,
    /// The file ends too early, or a track ends within a message.
    #[error("the MIDI file is cut short")]
    Truncated,
    /// Bytes that mean nothing.
    #[error("the MIDI file is damaged near byte {at}: {what}")]
    Damaged {
        /// Position in the file.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// Type 2: independent sequences.
    #[error("the MIDI file is of type 2 (independent sequences); save it as type 0 or 1")]
    Asynchronous,
    /// Time in frames, or no time at all.
    #[error("the MIDI file counts {0} ticks a beat; save it with a positive number")]
    Division(i16),
    /// A file cannot be written.
    #[error("{0} instruments need more than the 16 channels of a MIDI file; leave some out")]
    Channels(usize),
}

/// What a message means to us.
#[allow(missing_docs)] // the fields are named for what they are
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key goes down (velocity above 0).
    On { channel: u8, key: u8, velocity: u8 },
    /// A key goes up.
    Off { channel: u8, key: u8 },
    /// The channel's program changes.
    Program { channel: u8, program: u8 },
    /// Microseconds a beat, from the next message on.
    Tempo(u32),
    /// The end of a track; the next message takes over its delta.
    End,
    /// Something else; its time counts.
    Other,
}

/// A message and when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Ticks from the start of the file.
    pub tick: u64,
    /// What it is.
    pub kind: Kind,
}

/// A file as one stream of messages in time order; at equal ticks in the order of tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Midi {
    /// Ticks a quarter note; not positive only in files whose messages all stand at tick 0.
    pub division: i16,
    /// All messages.
    pub messages: Vec<Message>,
}

/// Bytes that one message may hold.
const LONGEST: u64 = 1_000_000;
/// Ticks that one delta may count; mido has no limit, and nobody waits that long.
const LONGEST_DELTA: u64 = 1 << 40;

impl Midi {
    /// Reads a file. Memory: at most 12 times the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, MidiError> {
        let mut reader = Reader { bytes, at: 0 };
        let (name, size) = reader.chunk()?;
        if name != *b"MThd" {
            return Err(MidiError::NotMidi);
        }
        let header = reader.take(size.min(reader.left()))?;
        let &[_, kind, tracks_high, tracks_low, high, low, ..] = header else {
            return Err(MidiError::Truncated);
        };
        let division = i16::from_be_bytes([high, low]);
        let mut messages = Vec::new();
        for _ in 0..i16::from_be_bytes([tracks_high, tracks_low]) {
            reader.track(&mut messages)?;
        }
        if header.first() == Some(&0) && kind == 2 {
            return Err(MidiError::Asynchronous);
        }
        messages.sort_by_key(|message| message.tick);
        if division <= 0 && messages.iter().any(|message| message.tick > 0) {
            return Err(MidiError::Division(division));
        }
        Ok(Self { division, messages })
    }

    /// Each message with its time in seconds, summed up as the reference does.
    #[allow(clippy::cast_precision_loss)] // ticks stay far below 2^53 in files that mean anything
    pub fn in_seconds(&self) -> impl Iterator<Item = (f64, Kind)> + '_ {
        let (mut seconds, mut tick, mut tempo) = (0.0_f64, 0, 500_000_u32);
        let heard = self.messages.iter().filter(|message| message.kind != Kind::End);
        heard.map(move |message| {
            if message.tick > tick {
                let scale = f64::from(tempo) * 1e-6 / f64::from(self.division);
                seconds += (message.tick - tick) as f64 * scale;
                tick = message.tick;
            }
            if let Kind::Tempo(next) = message.kind {
                tempo = next;
            }
            (seconds, message.kind)
        })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn damaged<T>(&self, what: &'static str) -> Result<T, MidiError> {
        Err(MidiError::Damaged { at: self.at, what })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], MidiError> {
        let end = self.at.checked_add(count).ok_or(MidiError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(MidiError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, MidiError> {
        self.take(1)?.first().copied().ok_or(MidiError::Truncated)
    }

    fn chunk(&mut self) -> Result<([u8; 4], usize), MidiError> {
        match self.take(8)? {
            &[a, b, c, d, e, f, g, h] => Ok(([a, b, c, d], u32::from_be_bytes([e, f, g, h]) as usize)),
            _ => Err(MidiError::Truncated),
        }
    }

    fn number(&mut self) -> Result<u64, MidiError> {
        let mut number = 0_u64;
        loop {
            let byte = self.byte()?;
            if number > LONGEST_DELTA {
                return self.damaged("a number beyond all measure");
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte < 0x80 {
                return Ok(number);
            }
        }
    }

    fn data(&mut self) -> Result<&'a [u8], MidiError> {
        let length = self.number()?;
        if length > LONGEST {
            return self.damaged("a message of more than a million bytes");
        }
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn track(&mut self, messages: &mut Vec<Message>) -> Result<(), MidiError> {
        let (name, size) = self.chunk()?;
        if name != *b"MTrk" {
            return self.damaged("a track does not begin with MTrk");
        }
        if size > self.left() {
            return Err(MidiError::Truncated);
        }
        let end = self.at + size;
        let (mut tick, mut status) = (0_u64, None);
        while self.at != end {
            if self.at > end {
                return Err(MidiError::Truncated);
            }
            let delta = self.number()?;
            let (kind, timed) = self.message(&mut status)?;
            // mido forgets the delta of a meta message that it does not know.
            tick = tick.saturating_add(if timed { delta } else { 0 });
            messages.push(Message { tick, kind });
        }
        Ok(())
    }

    /// The next message, and whether its delta counts.
    fn message(&mut self, last: &mut Option<u8>) -> Result<(Kind, bool), MidiError> {
        let first = self.byte()?;
        let (status, peeked) = match *last {
            _ if first == 0xff => return self.meta(),
            _ if first >= 0x80 => (first, None),
            Some(status) => (status, Some(first)),
            None => return self.damaged("a data byte where a status byte is due"),
        };
        *last = Some(status);
        match status {
            0xf0 | 0xf7 => self.exclusive().map(|()| (Kind::Other, true)),
            _ => self.plain(status, peeked).map(|kind| (kind, true)),
        }
    }

    fn plain(&mut self, status: u8, peeked: Option<u8>) -> Result<Kind, MidiError> {
        let size = match status {
            0x80..=0xbf | 0xe0..=0xef | 0xf2 => 2,
            0xc0..=0xdf | 0xf1 | 0xf3 => 1,
            0xf6 | 0xf8 | 0xfa..=0xfc | 0xfe => 0,
            _ => return self.damaged("an undefined status byte"),
        };
        let mut data = [0; 2];
        let already = usize::from(peeked.is_some());
        if already > size {
            return self.damaged("a data byte after a message that takes none");
        }
        data[0] = peeked.unwrap_or(0);
        data[already..size].copy_from_slice(self.take(size - already)?);
        if data.iter().any(|byte| *byte > 127) {
            return self.damaged("a data byte above 127");
        }
        let (channel, [key, velocity]) = (status & 15, data);
        Ok(match status & 0xf0 {
            0x90 if velocity > 0 => Kind::On { channel, key, velocity },
            0x80 | 0x90 => Kind::Off { channel, key },
            0xc0 => Kind::Program { channel, program: key },
            _ => Kind::Other,
        })
    }

    fn exclusive(&mut self) -> Result<(), MidiError> {
        let data = self.data()?;
        let data = data.strip_prefix(&[0xf0]).unwrap_or(data);
        let data = data.strip_suffix(&[0xf7]).unwrap_or(data);
        if data.iter().any(|byte| *byte > 127) {
            return self.damaged("a data byte above 127 in a system exclusive message");
        }
        Ok(())
    }

    fn meta(&mut self) -> Result<(Kind, bool), MidiError> {
        let kind = self.byte()?;
        let data = self.data()?;
        let sound = match (kind, data) {
            (0x51, &[a, b, c, ..]) => return Ok((Kind::Tempo(u32::from_be_bytes([0, a, b, c])), true)),
            (0x2f, _) => return Ok((Kind::End, true)),
            (0x01..=0x07 | 0x09 | 0x21 | 0x7f, _) | (0x00, [] | [_, _, ..]) => true,
            (0x20, data) => !data.is_empty(),
            (0x54, &[rate, minutes, seconds, _, parts, ..]) => {
                rate >> 5 < 4 && minutes < 60 && seconds < 60 && parts < 100
            }
            (0x58, data) => data.len() >= 4,
            (0x59, &[key, mode, ..]) => key.wrapping_add(7) < 15 && mode < 2,
            (0x00 | 0x51 | 0x54 | 0x59, _) => false,
            _ => return Ok((Kind::Other, false)),
        };
        if sound {
            Ok((Kind::Other, true))
        } else {
            self.damaged("a meta message of the wrong size or value")
        }
    }
}
