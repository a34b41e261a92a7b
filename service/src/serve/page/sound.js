// Notes as sound: an oscillator or a burst of noise for each, scheduled a little ahead.

const AHEAD = 0.3;
// Waves by family of General MIDI: piano, bells, organ, guitar, bass, strings, ensemble, brass, reed, pipe, lead, pad.
const WAVES = ['triangle', 'sine', 'square', 'triangle', 'sawtooth', 'sawtooth', 'sawtooth', 'sawtooth', 'square', 'sine', 'square', 'triangle'];
const HELD = [2, 5, 6, 7, 8, 9, 10, 11];

export class Player {
  /** `meter` hears how loud it is, 0 to 1. */
  constructor(meter) { this.meter = meter; }

  open() {
    if (this.context) return;
    this.context = new AudioContext();
    this.out = this.context.createGain();
    this.out.gain.value = 0.5;
    const limit = this.context.createDynamicsCompressor();
    this.eye = this.context.createAnalyser();
    this.out.connect(limit).connect(this.eye).connect(this.context.destination);
    const size = this.context.sampleRate;
    this.noise = this.context.createBuffer(1, size, size);
    const samples = this.noise.getChannelData(0);
    for (let index = 0; index < size; index++) samples[index] = Math.random() * 2 - 1;
  }

  /** Plays a song from `begin` on; `tick` hears where it is, `end` that it is over. */
  play(song, begin, tick, end) {
    this.open();
    this.stop();
    this.context.resume();
    const start = this.context.currentTime + 0.1 - begin;
    const notes = song.notes.filter(note => note.at >= begin - 0.01).sort((a, b) => a.at - b.at);
    let next = 0;
    const samples = new Float32Array(this.eye.fftSize);
    this.timer = setInterval(() => {
      const now = this.context.currentTime - start;
      while (next < notes.length && notes[next].at < now + AHEAD) this.note(notes[next], start + notes[next++].at);
      this.eye.getFloatTimeDomainData(samples);
      this.meter(samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0));
      tick(now);
      if (now > song.seconds + 0.5) { this.stop(); end(); }
    }, 50);
  }

  note(note, when) {
    const [gain, loud] = [this.context.createGain(), 0.25 * (note.velocity / 127) ** 1.5];
    when = Math.max(when, this.context.currentTime);
    const drum = note.channel === 9;
    const family = Math.min(note.program >> 3, WAVES.length - 1);
    const stop = when + (drum ? 0.25 : Math.max(note.length, 0.06)) + 0.15;
    gain.gain.setValueAtTime(0, when);
    gain.gain.linearRampToValueAtTime(loud, when + 0.008);
    if (!drum && HELD.includes(family)) gain.gain.setValueAtTime(loud, stop - 0.12);
    else gain.gain.exponentialRampToValueAtTime(loud * 0.15, stop - 0.1);
    gain.gain.linearRampToValueAtTime(0, stop);
    const voice = drum ? this.drum(note.key) : this.tone(note.key, WAVES[family]);
    voice.connect(gain).connect(this.out);
    (voice.source ?? voice).start(when);
    (voice.source ?? voice).stop(stop);
  }

  tone(key, wave) {
    const voice = this.context.createOscillator();
    voice.type = wave;
    voice.frequency.value = 440 * 2 ** ((key - 69) / 12);
    const soft = this.context.createBiquadFilter();
    soft.frequency.value = Math.min(voice.frequency.value * 6, 9000);
    voice.connect(soft);
    soft.source = voice;
    return soft;
  }

  drum(key) {
    const low = key < 41;
    const filter = this.context.createBiquadFilter();
    filter.type = low && key !== 38 && key !== 40 ? 'lowpass' : 'highpass';
    filter.frequency.value = filter.type === 'lowpass' ? 160 : key > 41 ? 5000 : 1200;
    const voice = this.context.createBufferSource();
    voice.buffer = this.noise;
    voice.connect(filter);
    filter.source = voice;
    return filter;
  }

  stop() {
    clearInterval(this.timer);
    if (this.out) {
      // What is scheduled already is let go with its way out.
      const old = this.out;
      this.out = this.context.createGain();
      this.out.gain.value = 0.5;
      this.out.connect(this.context.createDynamicsCompressor()).connect(this.eye);
      old.disconnect();
    }
    this.meter(0);
  }
}
