// The timeline picture: a row for every node and guest, what it did when, and
// marks for fences, recoveries and commands. Colours tell nodes apart, and so
// do their names in the bars; patterns tell states apart.
import { h } from './dom.js';
import { clock, sortedNodes, sortedGuests } from './model.js';

const rowHeight = 22, axisHeight = 24, labelWidth = 84, barHeight = 15;
const chartHeight = 306; // as in the style sheet

/** looks of a segment: fill pattern, and a word for the read-out. */
const looks = {
  started: 'solid', migrate: 'stripes', relocate: 'stripes', request_stop: 'thin', request_start: 'dots',
  request_start_balance: 'dots', stopped: 'line', fence: 'cross', recovery: 'cross', freeze: 'dots', error: 'cross', new: 'none', gone: 'none',
  online: 'solid', maintenance: 'stripes', unknown: 'dots', cut: 'dots', fenced: 'cross', off: 'line',
};

function patternTile(kind, colour, back) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 6;
  const c = tile.getContext('2d');
  c.fillStyle = back; c.fillRect(0, 0, 6, 6);
  c.strokeStyle = c.fillStyle = colour; c.lineWidth = 1.6;
  c.beginPath();
  if (kind === 'stripes' || kind === 'cross') { c.moveTo(-1, 7); c.lineTo(7, -1); c.moveTo(-4, 4); c.lineTo(4, -4); c.moveTo(2, 10); c.lineTo(10, 2); }
  if (kind === 'cross') { c.moveTo(-1, -1); c.lineTo(7, 7); }
  if (kind === 'dots') { c.fillRect(1, 1, 2, 2); c.fillRect(4, 4, 2, 2); }
  c.stroke();
  return tile;
}

export class Timeline {
  constructor(app, box, canvas, readout) {
    Object.assign(this, { app, box, canvas, readout, cursor: null, row: -1 });
    this.ctx = canvas.getContext('2d');
    this.pad = h('div', { class: 'pad', 'aria-hidden': 'true' });
    box.append(this.pad);
    box.addEventListener('scroll', () => { this.top = box.scrollTop; app.dirty(); }, { passive: true });
    this.width = box.clientWidth; this.top = 0; // asking for them later would make the browser lay out the page
    new ResizeObserver(() => { this.width = box.clientWidth; app.dirty(); }).observe(box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { this.colours = null; app.dirty(); });
    canvas.addEventListener('pointermove', (e) => this.point(e));
    canvas.addEventListener('pointerleave', () => { this.cursor = null; app.dirty(); });
    canvas.addEventListener('click', (e) => { this.point(e); if (this.cursor !== null) app.look(this.cursor); });
    canvas.addEventListener('keydown', (e) => this.key(e));
    this.drawLegend(document.getElementById('legend'));
  }

  palette() {
    if (this.colours) return this.colours;
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    this.colours = { ink: get('--ink'), soft: get('--soft'), line: get('--line'), card: get('--card'), bad: get('--bad'), warn: get('--warn'), accent: get('--accent'), edge: get('--edge'), n: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => get('--n' + i)) };
    this.patterns = new Map();
    return this.colours;
  }

  pattern(kind, colour) {
    const key = kind + colour;
    if (!this.patterns.has(key)) this.patterns.set(key, this.ctx.createPattern(patternTile(kind, colour, this.palette().card), 'repeat'));
    return this.patterns.get(key);
  }

  window() {
    const span = Number(document.getElementById('window').value);
    const end = this.app.past ? Math.max(this.app.view.at, this.app.model.frames[0].at) : this.app.now();
    const first = this.app.model.frames[0].at;
    if (!span) return [first, Math.max(end, this.app.model.live.at, first + 60)];
    const from = Math.max(first, this.app.past ? end - span / 2 : end - span);
    return [from, Math.max(this.app.past ? Math.min(from + span, Math.max(end, this.app.model.live.at)) : end, from + Math.min(span, 120))];
  }

  rowsOf(s) {
    return [...sortedNodes(s).map((n) => ({ key: n.name, node: true })), ...sortedGuests(s).map((g) => ({ key: g.sid }))];
  }

  /** draw paints the rows that can be seen. */
  draw() {
    const { app, canvas, ctx } = this, s = app.view, c = this.palette();
    const rows = this.rows = this.rowsOf(s);
    const total = rows.length * rowHeight + axisHeight;
    const width = this.width, want = Math.min(total, chartHeight);
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(want * ratio)) {
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(want * ratio);
      canvas.style.height = want + 'px';
    }
    if (this.pad.style.height !== total + 'px') this.pad.style.height = total + 'px';
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.fillStyle = c.card; ctx.fillRect(0, 0, width, want);
    ctx.font = '12px system-ui, "DejaVu Sans", sans-serif';
    ctx.textBaseline = 'middle';
    const [t0, t1] = this.span = this.window();
    const x = this.x = (t) => labelWidth + (t - t0) / (t1 - t0) * (width - labelWidth - 6);
    const top = this.top;
    const firstRow = Math.max(0, Math.floor((top) / rowHeight)), lastRow = Math.min(rows.length, Math.ceil((top + want) / rowHeight));
    const nodeIndex = new Map(sortedNodes(s).map((n, i) => [n.name, i]));
    const colourOf = (name) => nodeIndex.has(name) ? c.n[nodeIndex.get(name) % 8] : c.edge;
    const limit = app.past ? app.model.live.at : app.now();
    for (let i = firstRow; i < lastRow; i++) this.drawRow(rows[i], i, axisHeight + i * rowHeight - top, limit, colourOf, width);
    this.drawAxis(t0, t1, width);
    this.drawMarks(rows, top, firstRow, lastRow);
    if (app.past) this.line(x(s.at), want, c.accent, 2);
    if (this.cursor !== null) this.line(x(this.cursor), want, c.ink, 1);
  }

  drawAxis(t0, t1, width) {
    const { ctx, x } = this, c = this.palette();
    ctx.fillStyle = c.card; ctx.fillRect(0, 0, width, axisHeight - 2);
    const steps = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];
    const room = Math.max(2, Math.floor((width - labelWidth) / 92));
    const step = steps.find((v) => (t1 - t0) / v <= room) ?? 86400;
    ctx.fillStyle = c.soft; ctx.strokeStyle = c.line; ctx.lineWidth = 1; ctx.textAlign = 'center';
    for (let t = Math.max(0, Math.ceil(t0 / step) * step); t <= t1; t += step) {
      const at = Math.round(x(t)) + .5;
      if (at < labelWidth) continue;
      ctx.beginPath(); ctx.moveTo(at, axisHeight - 5); ctx.lineTo(at, axisHeight); ctx.stroke();
      if (at < width - 24 && at > labelWidth + 20) ctx.fillText(clock(t), at, axisHeight / 2 - 1);
    }
    ctx.textAlign = 'left';
    ctx.beginPath(); ctx.moveTo(0, axisHeight - .5); ctx.lineTo(width, axisHeight - .5); ctx.stroke();
  }

  line(at, height, colour, width) {
    const { ctx } = this;
    if (at < labelWidth) return;
    ctx.strokeStyle = colour; ctx.lineWidth = width;
    ctx.beginPath(); ctx.moveTo(at, axisHeight); ctx.lineTo(at, height); ctx.stroke();
  }

  drawRow(row, index, y, limit, colourOf, width) {
    const { ctx, x, app } = this, c = this.palette(), [t0, t1] = this.span;
    ctx.fillStyle = index === this.row ? c.accent : c.ink;
    ctx.font = (row.node ? '600 ' : '') + '12px system-ui, "DejaVu Sans", sans-serif';
    ctx.fillText(row.key.length > 11 ? row.key.slice(0, 10) + '…' : row.key, 2, y + rowHeight / 2, labelWidth - 6);
    ctx.font = '11px system-ui, "DejaVu Sans", sans-serif';
    const list = app.model.segments.get(row.key) ?? [];
    let i = firstAfter(list, t0);
    for (i = Math.max(0, i - 1); i < list.length && list[i].at <= t1; i++) {
      const seg = list[i], until = Math.min(list[i + 1]?.at ?? limit, t1);
      const from = Math.max(labelWidth, x(Math.max(seg.at, t0))), to = Math.min(width - 6, x(until));
      if (to > from) this.bar(seg, row, from, to, y + (rowHeight - barHeight) / 2, colourOf);
    }
  }

  bar(seg, row, from, to, y, colourOf) {
    const { ctx } = this, c = this.palette();
    let look = looks[row.node && seg.kind === 'fence' ? 'fenced' : seg.kind] ?? 'none';
    if (seg.kind === 'started' && !seg.runs) look = 'dots';
    const bad = ['fence', 'recovery', 'error', 'fenced', 'cut'].includes(seg.kind);
    const colour = bad ? c.bad : seg.kind === 'maintenance' ? c.warn : colourOf(seg.node);
    const w = to - from;
    if (look === 'none') return;
    if (look === 'line') {
      ctx.fillStyle = row.node ? c.edge : colour;
      ctx.fillRect(from, y + barHeight / 2 - 1, w, 2);
      return;
    }
    const h = look === 'thin' ? barHeight / 2 : barHeight, top = y + (barHeight - h) / 2;
    ctx.fillStyle = look === 'solid' || look === 'thin' ? colour : this.pattern(look, colour);
    ctx.beginPath(); ctx.roundRect(from, top, Math.max(1, w - 1), h, Math.min(3, w / 2)); ctx.fill();
    if (look !== 'solid') { ctx.strokeStyle = colour; ctx.lineWidth = 1; ctx.stroke(); }
    const word = row.node ? (seg.kind === 'online' ? '' : seg.kind === 'cut' ? 'cut off' : seg.kind) : bad ? seg.kind : seg.target ? '→ ' + seg.target : seg.node;
    if (!word || look === 'thin') return;
    const need = ctx.measureText(word).width;
    if (need + 10 > w) return;
    if (look !== 'solid') { ctx.fillStyle = c.card; ctx.fillRect(from + 4, top + 1.5, need + 6, h - 3); }
    ctx.fillStyle = look === 'solid' ? inkOn(colour) : c.ink;
    ctx.fillText(word, from + 7, top + h / 2 + .5);
  }

  drawMarks(rows, top, firstRow, lastRow) {
    const { ctx, x, app } = this, c = this.palette(), [t0, t1] = this.span;
    const at = new Map(rows.slice(firstRow, lastRow).map((r, i) => [r.key, axisHeight + (firstRow + i) * rowHeight - top + rowHeight / 2]));
    const marks = app.model.marks;
    let last = -9; // commands that fall on one place are one triangle
    for (let i = firstAfter(marks, t0); i < marks.length && marks[i].at <= t1; i++) {
      const m = marks[i], px = x(m.at);
      if (px < labelWidth) continue;
      if (m.kind === 'command') {
        if (px - last < 2) continue;
        last = px;
        ctx.fillStyle = c.accent;
        ctx.beginPath(); ctx.moveTo(px - 4, axisHeight - 7); ctx.lineTo(px + 4, axisHeight - 7); ctx.lineTo(px, axisHeight - 1); ctx.fill();
        continue;
      }
      const y = at.get(m.sid || m.node);
      if (y === undefined || y < axisHeight + 6) continue;
      if (m.kind === 'watchdog') this.bolt(px, y, c);
      else if (m.to === 'fence') this.bolt(px, y, c);
      else if (m.from === 'recovery' && m.to !== 'fence') this.ring(px, y, c);
    }
  }

  bolt(px, y, c) {
    const { ctx } = this;
    ctx.fillStyle = c.bad; ctx.strokeStyle = c.card; ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(px + 2, y - 10); ctx.lineTo(px - 5, y + 2); ctx.lineTo(px - .5, y + 2); ctx.lineTo(px - 2, y + 10); ctx.lineTo(px + 5, y - 2.5); ctx.lineTo(px + .5, y - 2.5);
    ctx.closePath(); ctx.fill(); ctx.stroke();
  }

  ring(px, y, c) {
    const { ctx } = this;
    ctx.fillStyle = c.card; ctx.strokeStyle = c.ink; ctx.lineWidth = 2;
    ctx.beginPath(); ctx.arc(px, y, 5.5, 0, 7); ctx.fill(); ctx.stroke();
    ctx.lineWidth = 1.6; ctx.beginPath(); ctx.moveTo(px - 2.6, y); ctx.lineTo(px - .6, y + 2.2); ctx.lineTo(px + 2.8, y - 2); ctx.stroke();
  }

  point(e) {
    const r = this.canvas.getBoundingClientRect();
    const px = e.clientX - r.left, py = e.clientY - r.top;
    const [t0, t1] = this.span, width = this.width;
    const t = t0 + (px - labelWidth) / (width - labelWidth - 6) * (t1 - t0);
    this.set(px < labelWidth ? null : t, Math.floor((py - axisHeight + this.box.scrollTop) / rowHeight));
  }

  key(e) {
    const [t0, t1] = this.span, step = (t1 - t0) / (e.shiftKey ? 10 : 60);
    let t = this.cursor ?? (this.app.past ? this.app.view.at : this.app.now()), row = Math.max(0, this.row);
    switch (e.key) {
      case 'ArrowLeft': t -= step; break;
      case 'ArrowRight': t += step; break;
      case 'ArrowUp': row--; break;
      case 'ArrowDown': row++; break;
      case 'Home': t = t0; break;
      case 'End': t = t1; break;
      case 'Enter': if (this.cursor !== null) this.app.look(this.cursor); e.preventDefault(); return;
      case 'Escape': this.cursor = null; this.app.dirty(); return;
      default: return;
    }
    e.preventDefault();
    row = Math.min(this.rows.length - 1, Math.max(0, row));
    const y = row * rowHeight;
    if (y < this.box.scrollTop) this.box.scrollTop = y;
    if (y + rowHeight + axisHeight > this.box.scrollTop + chartHeight) this.box.scrollTop = y + rowHeight + axisHeight - chartHeight;
    this.set(Math.min(t1, Math.max(t0, t)), row);
  }

  set(t, row) {
    this.cursor = t; this.row = row;
    this.app.dirty();
    const r = this.rows?.[row];
    if (t === null || !r) return;
    const list = this.app.model.segments.get(r.key) ?? [], seg = list[firstAfter(list, t + 1e-6) - 1];
    const what = !seg || seg.kind === 'gone' ? 'not there'
      : r.node ? (seg.kind === 'cut' ? 'cut off from the network' : seg.kind)
        : `${seg.kind === 'new' ? 'not taken in yet' : seg.kind}${seg.target ? `, to ${seg.target}` : ''}, on ${seg.node}, ${seg.runs ? 'running' : 'not running'}`;
    this.readout.textContent = `${clock(t)}  ${r.key}: ${what}. Click or press Enter to look at that moment.`;
  }

  drawLegend(list) {
    const items = [['solid', '--n0', 'runs'], ['stripes', '--n0', 'moves'], ['line', '--n0', 'stopped'], ['cross', '--bad', 'fence, recovery, error'], ['bolt', '', 'fenced'], ['ring', '', 'recovered'], ['cmd', '', 'command']];
    list.replaceChildren(...items.map(([look, , word]) => h('li', {}, h('canvas', { width: 48, height: 32, 'aria-hidden': 'true', 'data-look': look }), word)));
    const paint = () => {
      const c = this.palette();
      for (const [i, el] of [...list.querySelectorAll('canvas')].entries()) {
        const keep = this.ctx, look = items[i][0], own = el.getContext('2d');
        own.setTransform(2, 0, 0, 2, 0, 0); own.clearRect(0, 0, 24, 16);
        this.ctx = own;
        if (look === 'bolt') { own.scale(.75, .75); this.bolt(16, 10.5, c); } else if (look === 'ring') { this.ring(12, 8, c); } else if (look === 'cmd') { own.fillStyle = c.accent; own.beginPath(); own.moveTo(7, 4); own.lineTo(17, 4); own.lineTo(12, 12); own.fill(); } else {
          const kind = { solid: 'started', stripes: 'migrate', line: 'stopped', cross: 'fence' }[look];
          this.bar({ kind, runs: true, node: '' }, {}, 0, 24, .5, () => c.n[0]);
        }
        this.ctx = keep;
      }
    };
    paint();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  }
}

/** inkOn returns the better readable of black and white on a colour. */
export function inkOn(hex) {
  const part = (i) => { const v = parseInt(hex.slice(i, i + 2), 16) / 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
  const light = .2126 * part(1) + .7152 * part(3) + .0722 * part(5);
  return (light + .05) / .05 > 1.05 / (light + .05) ? '#0b0f16' : '#ffffff';
}

/** firstAfter returns the index of the first entry whose time is not before t. */
function firstAfter(list, t) {
  let low = 0, high = list.length;
  while (low < high) { const mid = (low + high) >> 1; if (list[mid].at < t) low = mid + 1; else high = mid; }
  return low;
}
