// Standard MIDI files, read: notes in seconds.

class Reader {
  constructor(bytes) { this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength); this.at = 0; }
  byte() { return this.view.getUint8(this.at++); }
  short() { this.at += 2; return this.view.getUint16(this.at - 2); }
  long() { this.at += 4; return this.view.getUint32(this.at - 4); }
  word() { return String.fromCharCode(this.byte(), this.byte(), this.byte(), this.byte()); }
  number() {
    let value = 0;
    for (let count = 0; count < 4; count++) {
      const byte = this.byte();
      value = value * 128 + (byte & 127);
      if (byte < 128) break;
    }
    return value;
  }
}

function track(reader, end, index, events) {
  let [tick, status] = [0, 0];
  while (reader.at < end) {
    tick += reader.number();
    let first = reader.byte();
    if (first < 128) reader.at--; else status = first;
    if (first === 255) {
      const [kind, size] = [reader.byte(), reader.number()];
      if (kind === 81) events.push({ tick, index, tempo: (reader.byte() << 16 | reader.byte() << 8 | reader.byte()) / 1e6 });
      else reader.at += size;
    } else if (first === 240 || first === 247) {
      reader.at += reader.number();
    } else {
      const [one, channel, key] = [status >> 4, status & 15, reader.byte()];
      const value = one === 12 || one === 13 ? 0 : reader.byte();
      if (one === 9 && value > 0) events.push({ tick, index, on: true, channel, key, velocity: value });
      else if (one === 8 || one === 9) events.push({ tick, index, off: true, channel, key });
      else if (one === 12) events.push({ tick, index, channel, program: key });
    }
  }
  reader.at = end;
}

/** The notes of a file ({at, length, key, velocity, channel, program}, in seconds) and how long it is. */
export function parse(bytes) {
  const reader = new Reader(bytes);
  if (bytes.length < 14 || reader.word() !== 'MThd') throw new Error('it is no MIDI file');
  const size = reader.long();
  reader.short();
  const [tracks, division] = [reader.short(), reader.short()];
  if (division & 0x8000 || division === 0) throw new Error('it does not count in beats');
  reader.at = 8 + size;
  const events = [];
  for (let index = 0; index < tracks && reader.at + 8 <= bytes.length; index++) {
    const [name, length] = [reader.word(), reader.long()];
    const end = Math.min(reader.at + length, bytes.length);
    try {
      if (name === 'MTrk') track(reader, end, index, events);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    reader.at = end;
  }
  // Ends before beginnings at the same place, tempos first of all.
  const rank = event => event.tempo ? 0 : event.off ? 1 : event.on ? 3 : 2;
  events.sort((a, b) => a.tick - b.tick || rank(a) - rank(b));
  let [tick, seconds, tempo] = [0, 0, 0.5];
  const [open, programs, notes] = [new Map(), Array(16).fill(0), []];
  for (const event of events) {
    seconds += (event.tick - tick) * tempo / division;
    tick = event.tick;
    const name = event.channel * 128 + event.key;
    if (event.tempo) tempo = event.tempo;
    if (event.program !== undefined) programs[event.channel] = event.program;
    if (event.on || event.off) {
      const note = open.get(name);
      if (note) note.length = Math.max(seconds - note.at, 0.02);
      open.delete(name);
    }
    if (event.on) {
      const note = { at: seconds, length: 0.25, key: event.key, velocity: event.velocity, channel: event.channel, program: programs[event.channel] };
      open.set(name, note);
      notes.push(note);
    }
  }
  return { notes, seconds: notes.reduce((end, note) => Math.max(end, note.at + note.length), 0) };
}
