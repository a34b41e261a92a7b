// The page of the service: what is dropped is sent to /generate/stream, what comes is drawn, played and kept.
import { parse } from '/midi.js';
import { Player } from '/sound.js';

const at = id => document.getElementById(id);
const player = new Player(level => { at('level').value = level; });
let source = null;
let job = null;

const headers = () => {
  const token = at('token').value;
  return { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
};
const bytesOf = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
const textOf = bytes => {
  let text = '';
  for (const one of bytes) text += String.fromCharCode(one);
  return btoa(text);
};

function say(state, text) {
  document.body.dataset.state = state;
  at('status').textContent = text;
  at('go').disabled = state === 'working';
  at('stop').disabled = state !== 'working';
}

async function problem(answer) {
  if (answer.status === 401) document.querySelector('.token').hidden = false;
  const body = await answer.json().catch(() => ({}));
  return [body.message ?? `status ${answer.status}`, ...(body.suggestions ?? [])].join('; ');
}

// Notes of a file as bars: what was there before `from` in one colour, what is new in another.
function draw(canvas, song, from, now = -1) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = canvas.getAttribute('height') * scale;
  canvas.style.height = `${canvas.height / scale}px`;
  const pen = canvas.getContext('2d');
  const colour = name => getComputedStyle(document.body).getPropertyValue(name);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const keys = song.notes.map(note => note.key);
  const [low, high] = [Math.min(...keys, 58) - 2, Math.max(...keys, 62) + 2];
  const [wide, tall] = [canvas.width / Math.max(song.seconds, 1), canvas.height / (high - low)];
  for (const note of song.notes) {
    pen.fillStyle = note.at < from - 0.01 ? colour('--old') : colour('--new');
    pen.globalAlpha = 0.35 + 0.65 * note.velocity / 127;
    pen.fillRect(note.at * wide, (high - note.key - 1) * tall, Math.max(note.length * wide - 1, 2), Math.max(tall - 1, 2));
  }
  pen.globalAlpha = 1;
  if (now >= 0) {
    pen.fillStyle = colour('--ink');
    pen.fillRect(now * wide, 0, 2, canvas.height);
  }
  canvas.dataset.notes = song.notes.length;
}

async function take(file) {
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const song = parse(bytes);
    source = { bytes, song, name: file.name };
    at('file-name').firstChild.textContent = `${file.name}: ${song.notes.length} notes, ${song.seconds.toFixed(1)} s. Drop another, or `;
    at('source').hidden = false;
    draw(at('source'), song, Infinity);
    at('prime').value = song.seconds > 60 ? 60 : '';
    say('idle', 'Ready.');
  } catch (error) {
    say('error', `${file.name} cannot be read: ${error.message}`);
  }
}

function wish() {
  const number = id => at(id).value === '' ? undefined : Number(at(id).value);
  const body = {
    task: source ? 'continue' : 'generate',
    length_seconds: number('length'), num_variations: number('count'), temperature: number('temperature'),
    top_p: number('top-p'), seed: number('seed'),
  };
  if (source) Object.assign(body, { midi_input: textOf(source.bytes), prime_seconds: number('prime') ?? 60 });
  if (at('density').value) body.constraints = { density: at('density').value };
  return body;
}

// A card for a variation, drawn anew with each word of progress.
function card(id) {
  const place = at('answers');
  while (place.children.length <= id) place.append(at('answer').content.firstElementChild.cloneNode(true));
  return place.children[id];
}

function show(id, midi, from, facts) {
  const article = card(id);
  const bytes = bytesOf(midi);
  const song = parse(bytes);
  article.querySelector('h2').textContent = `Variation ${id + 1}`;
  draw(article.querySelector('canvas'), song, from);
  if (!facts) return;
  const link = article.querySelector('.download');
  link.href = URL.createObjectURL(new Blob([bytes], { type: 'audio/midi' }));
  link.download = `continuo-${facts.seed}.mid`;
  const told = facts.analysis ?? {};
  article.querySelector('.facts').textContent = [told.estimated_key, told.tempo_bpm && `${Math.round(told.tempo_bpm)} bpm`,
    told.time_signature, told.note_density, `${facts.num_notes} notes`, `seed ${facts.seed}`].filter(Boolean).join(' · ');
  article.querySelector('.play').onclick = () => listen(article, song, from);
  article.querySelector('.analyse').onclick = () => analyse(article, midi);
  article.querySelector('.further').onclick = () => take(new File([bytes], link.download));
}

function listen(article, song, from) {
  const button = article.querySelector('.play');
  const stopping = button.textContent === 'Stop';
  player.stop();
  for (const other of document.querySelectorAll('.play')) other.textContent = 'Listen';
  if (stopping) return;
  button.textContent = 'Stop';
  const begin = Math.max(0, from - 2);
  player.play(song, begin, now => draw(article.querySelector('canvas'), song, from, now), () => {
    button.textContent = 'Listen';
    draw(article.querySelector('canvas'), song, from);
  });
}

async function analyse(article, midi) {
  const answer = await fetch('/analyze', { method: 'POST', headers: headers(), body: JSON.stringify({ midi_input: midi }) });
  if (!answer.ok) return say('error', await problem(answer));
  const told = await answer.json();
  const list = article.querySelector('.analysis');
  list.replaceChildren();
  const row = (name, text) => {
    const [term, value] = [document.createElement('dt'), document.createElement('dd')];
    [term.textContent, value.textContent] = [name, text];
    list.append(term, value);
  };
  row('Form', `${told.structure.form} (${told.structure.sections.map(one => `${one.label} ${one.measures}`).join(', ')})`);
  row('Key', [told.harmony.key, ...told.harmony.modulations.map(one => `${one.key} from measure ${one.measure}`)].join(', '));
  row('Chords', told.harmony.chord_progression.join(' – ') || 'none');
  row('Rhythm', `${told.rhythm.time_signature}, ${Math.round(told.rhythm.tempo)} bpm, syncopation ${told.rhythm.syncopation_level}`);
  row('Motifs', told.motifs.slice(0, 3).map(one => `${one.notes.join(' ')} (${one.occurrences} times)`).join('; ') || 'none');
  list.hidden = false;
}

// Events of a server-sent stream.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split('\n').filter(line => line.startsWith('data:')).map(line => line.slice(5)).join('');
      if (data) yield JSON.parse(data);
    }
  }
}

async function go() {
  player.stop();
  at('answers').replaceChildren();
  at('progress').value = 0;
  say('working', 'Listening…');
  const body = wish();
  const answer = await fetch('/generate/stream', { method: 'POST', headers: headers(), body: JSON.stringify(body) });
  if (!answer.ok) return say('error', await problem(answer));
  const from = Math.min(body.prime_seconds ?? 0, source?.song.seconds ?? 0);
  for await (const word of events(answer.body)) {
    if (word.type === 'start') job = word.job_id;
    if (word.type === 'progress') {
      at('progress').value = word.percent;
      at('status').textContent = `${word.tokens_so_far / 3} notes`;
      show(word.variation_id, word.midi_base64, from);
    }
    if (word.type === 'complete') {
      const prime = word.result.prime_seconds ?? 0;
      word.result.variations.forEach(one => show(one.variation_id, one.midi_base64, prime, one));
      at('progress').value = 100;
      say('done', [word.result.summary, ...(word.result.metadata.warnings ?? [])].join('. '));
    }
    if (word.type === 'cancelled') say('idle', 'Stopped.');
    if (word.type === 'error') say('error', [word.problem.message, ...(word.problem.suggestions ?? [])].join('; '));
  }
  if (document.body.dataset.state === 'working') say('error', 'The service went away; try again.');
  job = null;
}

at('form').onsubmit = event => {
  event.preventDefault();
  go().catch(error => say('error', `The service cannot be reached: ${error.message}`));
};
at('stop').onclick = () => { if (job) fetch(`/jobs/${job}`, { method: 'DELETE', headers: headers() }); };
at('file').onchange = event => { if (event.target.files[0]) take(event.target.files[0]); };
for (const kind of ['dragover', 'dragleave', 'drop']) {
  at('drop').addEventListener(kind, event => {
    event.preventDefault();
    at('drop').classList.toggle('over', kind === 'dragover');
    if (kind === 'drop' && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}
document.body.dataset.ready = 'yes';
