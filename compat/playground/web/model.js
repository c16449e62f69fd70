// The cluster as the server tells it: every frame, the state at any of them,
// and for each node and guest the segments that the timeline draws.

const keyframeEvery = 100;

const byName = new Intl.Collator('en', { numeric: true }).compare;

function copy(s) {
  return { round: s.round, at: s.at, end: s.end, cluster: s.cluster, pulse: s.pulse, nodes: new Map(s.nodes), guests: new Map(s.guests) };
}

function fold(s, f) {
  s.round = f.round; s.at = f.at; s.end = f.end;
  if (f.cluster) s.cluster = f.cluster;
  if (f.pulse) s.pulse = f.pulse;
  for (const n of f.nodes ?? []) s.nodes.set(n.name, n);
  for (const g of f.guests ?? []) s.guests.set(g.sid, g);
  for (const sid of f.gone ?? []) s.guests.delete(sid);
}

/** nodeKind says in one word how a node is. */
export function nodeKind(n) {
  if (!n.power) return n.state === 'fence' ? 'fence' : 'off';
  if (n.state === 'fence') return 'fence';
  if (!n.network) return 'cut';
  if (n.state === 'maintenance') return 'maintenance';
  if (n.state === 'online') return 'online';
  return 'unknown';
}

export class Model {
  constructor() { this.reset({ base: { nodes: [], guests: [] }, frames: [] }); }

  reset({ base, frames }) {
    this.frames = [];
    this.log = [];
    this.marks = [];
    this.segments = new Map();
    this.live = { nodes: new Map(), guests: new Map(), cluster: null, pulse: {} };
    this.keyframes = [];
    this.add(base);
    for (const f of frames ?? []) this.add(f);
  }

  /** add takes in a frame and returns its index. */
  add(f) {
    fold(this.live, f);
    const i = this.frames.push(f) - 1;
    if (i % keyframeEvery === 0) this.keyframes.push(copy(this.live));
    for (const l of f.log ?? []) this.log.push(l);
    for (const m of f.marks ?? []) this.marks.push(m);
    // A round takes some seconds; the marks know when in it a thing happened.
    const when = new Map((f.marks ?? []).map((m) => [m.sid || m.node, m.at]));
    for (const n of f.nodes ?? []) this.segment(n.name, when.get(n.name) ?? f.at, { kind: nodeKind(n), node: n.name });
    for (const g of f.guests ?? []) {
      this.segment(g.sid, when.get(g.sid) ?? f.at, { kind: g.state || 'new', node: g.node, target: g.target, runs: (g.runs ?? []).length > 0 });
    }
    for (const sid of f.gone ?? []) this.segment(sid, f.at, { kind: 'gone', node: '' });
    return i;
  }

  segment(key, at, value) {
    let list = this.segments.get(key);
    if (!list) this.segments.set(key, list = []);
    const last = list.at(-1);
    if (last && last.kind === value.kind && last.node === value.node && last.target === value.target && last.runs === value.runs) return;
    list.push({ at, ...value });
  }

  /** state returns the cluster after a frame; it is not to be changed. */
  state(i) {
    if (i >= this.frames.length - 1) return this.live;
    const k = Math.floor(i / keyframeEvery);
    const s = copy(this.keyframes[k]);
    for (let j = k * keyframeEvery + 1; j <= i; j++) fold(s, this.frames[j]);
    return s;
  }

  /** frameAt returns the index of the last frame at or before a time. */
  frameAt(t) {
    let low = 0, high = this.frames.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (this.frames[mid].at <= t) low = mid; else high = mid - 1;
    }
    return low;
  }
}

export const sortedNodes = (s) => [...s.nodes.values()].sort((a, b) => byName(a.name, b.name));

const id = (sid) => Number(sid.slice(sid.indexOf(':') + 1));
export const sortedGuests = (s) => [...s.guests.values()].sort((a, b) => id(a.sid) - id(b.sid) || byName(a.sid, b.sid));

export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, '0');
  const days = Math.floor(s / 86400);
  return (days ? days + 'd ' : '') + [Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60, s % 60].map(two).join(':');
}

export function size(bytes) {
  const gib = bytes / 2 ** 30;
  return gib >= 10 ? gib.toFixed(0) + ' GiB' : gib.toFixed(1) + ' GiB';
}

/** nodeIndex gives every node its colour. */
export function nodeColour(s, name) {
  const i = [...s.nodes.keys()].sort(byName).indexOf(name);
  return i < 0 ? 'var(--edge)' : `var(--n${i % 8})`;
}
