// Dialogs: a guest with the explanation of its place, a node, rules, sessions.
import { h, icon, pill, command, post, get, run, toast, $ } from './dom.js';
import { nodeColour, nodeKind, sortedNodes, sortedGuests, size } from './model.js';
import { statePill, placeOf, remarks } from './guests.js';
import { conflictList, sentence, nodeWords } from './side.js';
import { kinds } from './nodes.js';

function openDialog(dialog, content) {
  dialog.replaceChildren(content);
  if (!dialog.open) dialog.showModal();
}

for (const dialog of [$('sheet'), $('form')]) {
  dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => {
    dialog.replaceChildren();
    document.body.append($('toasts'));
    sheet = null; // the browser gives the focus back to who had it
  });
}

const title = (id, text, dialog, ...more) => h('header', {}, h('h2', { id }, text), ...more,
  h('button', { type: 'button', class: 'close round quiet', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('x')));

const button = (text, act, props = {}) => h('button', { type: 'button', onclick: act, ...props }, text);

// --- a guest

let sheet = null; // the guest that is shown, for refreshing

export function refreshSheet(app) {
  if (!sheet || !$('sheet').open) return;
  const g = app.view.guests.get(sheet.sid);
  if (!g) { $('sheet').close(); return; }
  if (g !== sheet.guest) { sheet.guest = g; sheet.paint(g); }
  clearTimeout(sheet.timer);
  sheet.timer = setTimeout(() => sheet?.explain(), 250);
}

function explanation(box, app, e) {
  const verdicts = e.nodes.map((v) => {
    const here = v.node === e.node;
    const mark = here ? pill('info', 'pin', 'is here') : v.usable ? pill('ok', 'check', v.rank ? `${v.rank}. choice` : 'allowed') : pill('', 'x', 'not now');
    return h('article', { class: 'verdict' + (here ? ' here' : '') },
      h('header', {}, h('span', { class: 'dot', node: nodeColour(app.view, v.node) }), h('strong', {}, v.node), v.score !== null ? h('span', { class: 'count' }, `score ${Number(v.score.toPrecision(4))}`) : null, mark),
      h('ul', {}, (v.says ?? []).map((t) => h('li', {}, t))));
  });
  const list = (texts, name) => h('ul', { class: 'because' }, texts.map((t) => h('li', {}, icon(name), h('span', {}, t + '.'))));
  box.replaceChildren(
    list(e.because ?? [], 'check'),
    (e.notes ?? []).length ? h('div', { class: 'preview bad' }, e.notes.map((n) => h('span', {}, n))) : '',
    h('div', { class: 'cap' }, `Nodes, best first (scheduler: ${e.scheduler}; a lower score is better)`), h('div', { class: 'verdicts' }, verdicts),
    h('div', { class: 'cap' }, 'What would move it'), (e.moves ?? []).length ? list(e.moves, 'arrow') : h('p', { class: 'hint' }, 'Nothing at present.'));
}

export function guestSheet(app, sid, toActions) {
  const dialog = $('sheet');
  const head = h('div', { class: 'row' }), facts = h('p', { class: 'hint' });
  const why = h('div', { class: 'dlg-why', 'aria-live': 'off' });
  const act = (text) => run(command(`service ${sid} ${text}`));
  const target = h('select', { 'aria-label': 'Node to move to' });
  const lock = h('button', { type: 'button' });
  const fails = { start: failSelect('start'), stop: failSelect('stop'), migrate: failSelect('migrate') };
  function failSelect(action) {
    const s = h('select', { 'aria-label': `Tries to ${action} that fail`, onchange: () => act(`fail ${action} ${s.value}`) },
      [['0', 'works'], ['1', 'fails once'], ['3', 'fails 3×'], ['always', 'always fails']].map(([v, t]) => h('option', { value: v }, t)));
    return s;
  }
  const number = (label, key, props) => {
    const i = h('input', { type: 'number', min: 0, ...props, onchange: () => act(key(i.value)) });
    return [h('label', {}, label, i), i];
  };
  const [restartL, restart] = number('Restarts on a node', (v) => `set max_restart=${v}`);
  const [relocateL, relocate] = number('Tries elsewhere', (v) => `set max_relocate=${v}`);
  const [cpuL, cpu] = number('Cores it may use', (v) => `set-static-stats maxcpu ${v}`, { step: 0.5 });
  const [memL, mem] = number('Memory it may use (MiB)', (v) => `set-static-stats maxmem ${v}`, { step: 256 });
  const [usedL, used] = number('Cores it uses', (v) => `set-dynamic-stats cpu ${v}`, { step: 0.5 });
  const [usedMemL, usedMem] = number('Memory it uses (MiB)', (v) => `set-dynamic-stats mem ${v}`, { step: 256 });
  const failback = h('input', { type: 'checkbox', onchange: () => act(`set failback=${failback.checked ? 1 : 0}`) });
  const group = h('select', { onchange: () => act(`set group=${group.value}`) });
  const names = sortedNodes(app.view).map((n) => n.name);
  const migrate = button('Migrate', () => act('migrate ' + target.value), { class: 'primary', id: 'migrate' });
  const actions = h('fieldset', { disabled: app.past },
    h('legend', {}, 'Move'),
    h('div', { class: 'row' }, target, migrate, button('Relocate', () => act('relocate ' + target.value)), button('Move by hand', () => act('manual-migrate ' + target.value))),
    h('div', { class: 'cap' }, 'Guest'),
    h('div', { class: 'row' }, button('Stop now', () => act('stop 0')), lock, button('Remove from HA', () => { dialog.close(); act('delete'); }, { class: 'danger' })),
    h('div', { class: 'cap' }, 'Fail on purpose'),
    h('div', { class: 'grid2' }, h('label', {}, 'Start', fails.start), h('label', {}, 'Stop', fails.stop), h('label', {}, 'Migrate', fails.migrate)),
    h('div', { class: 'cap' }, 'Policy'),
    h('div', { class: 'grid2' }, restartL, relocateL, h('label', {}, 'Group', group)),
    h('label', { class: 'row' }, failback, 'Go back to a preferred node when it returns'),
    h('div', { class: 'cap' }, 'Load'),
    h('div', { class: 'grid2' }, cpuL, memL, usedL, usedMemL));
  const set = (el, v) => { if (document.activeElement !== el) el.value = v; };
  const paint = (g) => {
    head.replaceChildren(statePill(g), placeOf(app.view, g), ...remarks(g).map(([k, i, t]) => h('span', { class: 'pill ' + k }, icon(i), t)));
    facts.textContent = `wanted: ${g.wanted}. It uses ${g.cpu} of ${g.maxcpu} cores and ${size(g.mem)} of ${size(g.maxmem)}.`;
    if (target.options.length === 0) target.replaceChildren(...names.map((n) => h('option', { value: n, selected: n !== g.node && !target.value }, n)));
    if (!target.dataset.set) { target.value = names.find((n) => n !== g.node) ?? g.node; target.dataset.set = '1'; }
    lock.textContent = g.lock ? `Unlock (${g.lock})` : 'Lock (backup)';
    lock.onclick = () => act(g.lock ? 'unlock' : 'lock');
    for (const [action, s] of Object.entries(fails)) {
      const n = g.fail?.[action] ?? 0, v = n < 0 ? 'always' : String(n);
      if (![...s.options].some((o) => o.value === v)) s.append(h('option', { value: v }, `fails ${v}×`));
      set(s, v);
    }
    set(restart, g.maxRestart); set(relocate, g.maxRelocate); failback.checked = g.failback;
    set(cpu, g.maxcpu); set(mem, g.maxmem / 2 ** 20); set(used, g.cpu); set(usedMem, g.mem / 2 ** 20);
    group.replaceChildren(h('option', { value: '' }, 'none'), ...app.view.cluster.groups.map((x) => h('option', { value: x.id }, x.id)));
    group.value = g.group;
  };
  const g = app.view.guests.get(sid);
  if (!g) return;
  const content = h('div', { class: 'dlg' }, title('sheettitle', sid, dialog), head, facts,
    h('h3', {}, 'Why it is there'), why, h('hr', {}), actions);
  openDialog(dialog, content);
  sheet = { sid, guest: g, paint, timer: 0, async explain() {
    if (app.past) { why.replaceChildren(h('p', { class: 'hint' }, 'The explanation is of the present: go back to now, or go on from here.')); return; }
    try { explanation(why, app, await get('explain?service=' + encodeURIComponent(sid))); } catch (e) {
      why.replaceChildren(h('p', { class: 'hint' }, e.message.includes('not managed') ? 'No master has taken it in yet.' : e.message));
    }
  } };
  paint(g);
  sheet.explain();
  if (toActions) { actions.scrollIntoView(); target.focus(); }
}

export function addGuest(app) {
  const dialog = $('form');
  const ids = [...app.view.guests.keys()].map((s) => Number(s.split(':')[1]));
  const kind = h('select', { id: 'g-kind' }, h('option', { value: 'vm' }, 'virtual machine'), h('option', { value: 'ct' }, 'container'));
  const id = h('input', { type: 'number', id: 'g-id', min: 100, value: Math.max(100, ...ids) + 1, required: true });
  const node = h('select', { id: 'g-node' }, sortedNodes(app.view).map((n) => h('option', { value: n.name }, n.name)));
  const state = h('select', { id: 'g-state' }, ['started', 'stopped', 'disabled', 'ignored'].map((v) => h('option', { value: v }, v)));
  const cpu = h('input', { type: 'number', value: 4, min: 0.5, step: 0.5 }), mem = h('input', { type: 'number', value: 8192, min: 128, step: 128 });
  openDialog(dialog, h('form', { class: 'dlg', method: 'dialog', onsubmit: async (e) => {
    e.preventDefault();
    const s = `service ${kind.value}:${id.value}`;
    if (await run(command(`${s} add ${node.value} ${state.value}`, `${s} set-static-stats maxcpu ${cpu.value} maxmem ${mem.value}`, `${s} set-dynamic-stats cpu ${cpu.value / 4} mem ${mem.value / 2}`))) dialog.close();
  } }, title('formtitle', 'Add a guest', dialog),
  h('div', { class: 'grid2' }, h('label', {}, 'Kind', kind), h('label', {}, 'Number', id), h('label', {}, 'Node', node), h('label', {}, 'Wanted', state), h('label', {}, 'Cores', cpu), h('label', {}, 'Memory (MiB)', mem)),
  h('footer', {}, button('Cancel', () => dialog.close()), h('button', { class: 'primary', type: 'submit' }, 'Add'))));
  id.select();
}

// --- a node

export function nodeSheet(app, name) {
  const dialog = $('sheet');
  const n = app.view.nodes.get(name);
  const kind = nodeKind(n);
  const again = (text) => run(command(text)).then((ok) => { if (ok) setTimeout(() => $('sheet').open && nodeSheet(app, name), 120); });
  const version = h('input', { type: 'text', value: n.version, 'aria-label': 'Version of pve-manager', pattern: '[0-9.~]+' });
  const check = (label, on, cmd) => {
    const box = h('input', { type: 'checkbox', checked: on, onchange: () => again(cmd(box.checked)) });
    return h('label', { class: 'row' }, box, label);
  };
  const here = sortedGuests(app.view).filter((g) => g.node === name);
  openDialog(dialog, h('div', { class: 'dlg' }, title('sheettitle', name, dialog, pill(...kinds[kind])),
    h('p', { class: 'hint' }, `CRM: ${n.crm || 'not running'}. LRM: ${n.lrm || 'not running'}${n.mode && n.lrm ? `, mode ${n.mode}` : ''}. ${n.maxcpu} cores, ${size(n.maxmem)}, of which ${n.cpu.toFixed(1)} cores and ${size(n.mem)} are used.`),
    h('fieldset', { disabled: app.past }, h('legend', {}, 'Node'),
      h('div', { class: 'row' }, button(n.power ? 'Switch off' : 'Switch on', () => again(`power ${name} ${n.power ? 'off' : 'on'}`)),
        button(n.maintenance ? 'End the maintenance' : 'Maintenance', () => again(`crm ${name} ${n.maintenance ? 'disable' : 'enable'}-node-maintenance`)),
        button('Reboot', () => again('reboot ' + name), { disabled: !n.power || !!n.shutdown }), button('Shut down', () => again('shutdown ' + name), { disabled: !n.power || !!n.shutdown }))),
    h('fieldset', { disabled: app.past }, h('legend', {}, 'Faults of its cluster file system'),
      check('Reading and writing fails', !n.cfsRW, (on) => `cfs ${name} rw ${on ? 'fail' : 'work'}`),
      check('Its state cannot be brought up to date', !n.cfsUpdate, (on) => `cfs ${name} update ${on ? 'fail' : 'work'}`)),
    h('fieldset', { disabled: app.past }, h('legend', {}, 'Daemons'),
      h('div', { class: 'row' }, n.crm ? button('Stop the CRM', () => again(`crm ${name} stop`)) : button('Start the CRM', () => again(`crm ${name} start`), { disabled: !n.power }),
        button('Restart the LRM', () => again('restart-lrm ' + name), { disabled: !n.lrm }))),
    h('fieldset', { disabled: app.past }, h('legend', {}, 'Version of pve-manager'),
      h('div', { class: 'row' }, version, button('Set', () => again(`pve-manager-version ${name} set ${version.value}`)))),
    h('h3', {}, 'Guests here'),
    here.length ? h('div', { class: 'chips' }, here.slice(0, 200).map((g) => button(g.sid, () => guestSheet(app, g.sid)))) : h('p', { class: 'hint' }, 'None.')));
}

// --- rules and groups

function pickNodes(app, chosen) {
  const items = sortedNodes(app.view).map((n) => {
    const box = h('input', { type: 'checkbox', value: n.name, checked: n.name in chosen });
    const prio = h('input', { type: 'number', min: 0, max: 1000, value: chosen[n.name] ?? 0, 'aria-label': `Priority of ${n.name}` });
    return { box, prio, el: h('div', { class: 'row' }, h('label', {}, box, n.name), prio) };
  });
  return {
    el: h('fieldset', {}, h('legend', {}, 'Nodes, each with its priority (higher is better)'), h('div', { class: 'pick' }, items.map((i) => i.el))),
    value: () => items.filter((i) => i.box.checked).map((i) => i.box.value + (Number(i.prio.value) ? ':' + Number(i.prio.value) : '')).join(','),
  };
}

export function ruleForm(app, old) {
  const dialog = $('form');
  const kindOf = !old ? 'apart' : old.type === 'node-affinity' ? 'nodes' : old.affinity === 'negative' ? 'apart' : 'together';
  const kind = (value, text) => h('label', {}, h('input', { type: 'radio', name: 'kind', value, checked: value === kindOf, disabled: old && (value === 'nodes') !== (kindOf === 'nodes') }), text);
  const id = h('input', { type: 'text', value: old?.id ?? '', required: true, pattern: '[A-Za-z][A-Za-z0-9_\\-]+', disabled: !!old, id: 'ruleid', placeholder: 'web-apart' });
  const boxes = sortedGuests(app.view).map((g) => h('input', { type: 'checkbox', value: g.sid, checked: old?.resources.includes(g.sid) }));
  const filter = h('input', { type: 'search', placeholder: 'Filter guests', 'aria-label': 'Filter guests', oninput: () => { for (const b of boxes) b.parentElement.hidden = !b.value.includes(filter.value.trim()); } });
  const nodes = pickNodes(app, old?.nodes ?? {});
  const strict = h('input', { type: 'checkbox', checked: old?.strict, id: 'strict' });
  const nodePart = h('div', { class: 'opts' }, nodes.el, h('label', { class: 'row' }, strict, 'Strict: never on any other node'));
  const preview = h('div', { class: 'preview', role: 'status', id: 'preview' });
  const save = h('button', { class: 'primary', type: 'submit' }, 'Save');
  const value = () => form.elements.kind.value;
  const text = () => {
    const resources = boxes.filter((b) => b.checked).map((b) => b.value).join(',');
    const words = value() === 'nodes' ? [`nodes=${nodes.value()}`, `resources=${resources}`, `strict=${strict.checked ? 1 : ''}`] : [`affinity=${value() === 'apart' ? 'negative' : 'positive'}`, `resources=${resources}`];
    return old ? `rule set ${old.id} ${words.join(' ')}` : `rule add ${value() === 'nodes' ? 'node-affinity' : 'resource-affinity'} ${id.value.trim() || 'new-rule'} ${words.filter((w) => !w.endsWith('=')).join(' ')}`;
  };
  let turn = 0;
  const look = async () => {
    nodePart.hidden = value() !== 'nodes';
    const mine = ++turn;
    let cls = 'preview', content;
    const name = old?.id ?? (id.value.trim() || 'new-rule');
    if (!boxes.some((b) => b.checked)) content = [h('span', {}, 'Choose the guests of the rule.')];
    else if (value() === 'nodes' && !nodes.value()) content = [h('span', {}, 'Choose the nodes of the rule.')];
    else {
      try {
        const v = await post('try', { command: text() }, true);
        const r = v.rules.find((x) => x.id === name);
        const others = v.rules.filter((x) => x.id !== name && (x.conflicts ?? []).length && !app.view.cluster.rules.some((y) => y.id === x.id && (y.conflicts ?? []).length));
        if ((r?.conflicts ?? []).length) { cls += ' bad'; content = [h('strong', {}, icon('warn'), ' This rule would not be applied:'), ...conflictList(r.conflicts)]; } else { cls += ' ok'; content = [h('span', {}, icon('check'), ` ${sentence(r)}: ${r.resources.join(', ')}${r.nodes ? ' → ' + nodeWords(r.nodes).join(', ') : ''}. Nothing speaks against it.`)]; }
        if (others.length) { cls = 'preview bad'; content.push(h('span', {}, 'Rules that would not be applied any more: ' + others.map((x) => x.id).join(', '))); }
      } catch (e) { cls += ' bad'; content = [h('span', {}, e.message.replace(/^command ".*?": /, ''))]; }
    }
    if (mine === turn) { preview.className = cls; preview.replaceChildren(...content); }
  };
  const form = h('form', { class: 'dlg', method: 'dialog', oninput: look, onchange: look, onsubmit: async (e) => {
    e.preventDefault();
    if (await run(command(text()))) dialog.close();
  } }, title('formtitle', old ? `Rule ${old.id}` : 'Add a rule', dialog),
  h('fieldset', {}, h('legend', {}, 'What it does'), h('div', { class: 'seg' }, kind('apart', 'Keep apart'), kind('together', 'Keep together'), kind('nodes', 'Choose nodes'))),
  h('label', { class: 'row' }, 'Name', id),
  h('fieldset', {}, h('legend', {}, 'Guests'), boxes.length > 12 ? filter : null, h('div', { class: 'pick', id: 'ruleguests' }, boxes.map((b) => h('label', {}, b, b.value)))),
  nodePart, preview,
  h('footer', {}, button('Cancel', () => dialog.close()), save));
  openDialog(dialog, form);
  look();
  (old ? boxes[0] : id)?.focus();
}

export function groupForm(app, old) {
  const dialog = $('form');
  const chosen = Object.fromEntries((old?.nodes ?? []).map((n) => { const [name, p] = n.split(':'); return [name, Number(p ?? 0)]; }));
  const id = h('input', { type: 'text', value: old?.id ?? '', required: true, pattern: '[A-Za-z][A-Za-z0-9_\\-]+', disabled: !!old });
  const nodes = pickNodes(app, chosen);
  const restricted = h('input', { type: 'checkbox', checked: old?.restricted }), nofailback = h('input', { type: 'checkbox', checked: old?.nofailback });
  openDialog(dialog, h('form', { class: 'dlg', method: 'dialog', onsubmit: async (e) => {
    e.preventDefault();
    const words = [`nodes=${nodes.value()}`, `restricted=${restricted.checked ? 1 : ''}`, `nofailback=${nofailback.checked ? 1 : ''}`];
    const text = old ? `group set ${old.id} ${words.join(' ')}` : `group add ${id.value.trim()} ${words.filter((w) => !w.endsWith('=')).join(' ')}`;
    if (await run(command(text))) dialog.close();
  } }, title('formtitle', old ? `Group ${old.id}` : 'Add a group', dialog),
  h('p', { class: 'hint' }, 'Groups are the forerunners of rules that choose nodes. A master that sees every node with a version that knows rules turns them into such rules.'),
  h('label', { class: 'row' }, 'Name', id), nodes.el,
  h('label', { class: 'row' }, restricted, 'Restricted: never on any other node'), h('label', { class: 'row' }, nofailback, 'No failback'),
  h('footer', {}, button('Cancel', () => dialog.close()), h('button', { class: 'primary', type: 'submit' }, 'Save'))));
  id.focus();
}

// --- sessions

export function newSession() {
  const dialog = $('form');
  const nodes = h('input', { type: 'number', min: 1, max: 29, value: 3, required: true, id: 'n-nodes' });
  const guests = h('input', { type: 'number', min: 0, max: 5000, value: 6, required: true, id: 'n-guests' });
  openDialog(dialog, h('form', { class: 'dlg', method: 'dialog', onsubmit: async (e) => {
    e.preventDefault();
    if (await run(post('fresh', { nodes: Number(nodes.value), guests: Number(guests.value) }))) { dialog.close(); toast('A fresh cluster boots.'); }
  } }, title('formtitle', 'A new cluster', dialog),
  h('div', { class: 'grid2' }, h('label', {}, 'Nodes', nodes), h('label', {}, 'Guests', guests)),
  h('p', { class: 'hint' }, 'What you did until now is put aside as a recording in the session’s folder.'),
  h('footer', {}, button('Cancel', () => dialog.close()), h('button', { class: 'primary', type: 'submit' }, 'Begin'))));
  nodes.select();
}

export function openSession() {
  const dialog = $('form');
  const notes = h('div', {});
  const archive = h('input', { type: 'file', accept: '.txtar,text/plain', id: 'o-archive', 'aria-label': 'Recording', onchange: async () => {
    const f = archive.files[0];
    if (!f) return;
    if (await run(post('load', { name: f.name, archive: await f.text() }))) { dialog.close(); toast(`${f.name} was played to its end. Move the slider to look at any moment.`); }
  } });
  const take = async (list) => {
    const files = {};
    for (const f of list) {
      if (f.size > 4e6) continue;
      files[f.webkitRelativePath || f.name] = await f.text();
    }
    let answer;
    try { answer = await post('import', { files }); } catch { return; }
    toast('The cluster boots as its files say.');
    if (!answer.notes.length) { dialog.close(); return; }
    notes.replaceChildren(h('div', { class: 'preview' }, h('strong', {}, 'Worth knowing'), ...answer.notes.map((n) => h('span', {}, n))));
  };
  const files = h('input', { type: 'file', multiple: true, id: 'o-files', 'aria-label': 'Files of a cluster', onchange: () => take(files.files) });
  const folder = h('input', { type: 'file', id: 'o-folder', 'aria-label': 'Folder of a cluster', onchange: () => take(folder.files) });
  folder.webkitdirectory = true;
  openDialog(dialog, h('div', { class: 'dlg' }, title('formtitle', 'Open', dialog),
    h('fieldset', {}, h('legend', {}, 'A recording or scenario (.txtar)'), archive, h('p', { class: 'hint' }, 'It is played to its end at once; then look at any moment of it, or go on from there.')),
    h('hr', {}),
    h('fieldset', {}, h('legend', {}, 'Copies of a live cluster’s HA files'), h('div', { class: 'row' }, 'Files', files), h('div', { class: 'row' }, 'Folder', folder),
      h('p', { class: 'hint' }, 'From /etc/pve: ha/resources.cfg, ha/manager_status, ha/rules.cfg, ha/groups.cfg, datacenter.cfg, nodes/NODE/lrm_status, .members, and nodes/NODE/qemu-server/*.conf for places and sizes. They stay on this machine.')),
    notes));
}

export function helpDialog() {
  const dialog = $('form');
  const keys = [['Space', 'pause, or go on'], ['.', 'one round further'], ['+ and -', 'faster, slower'], ['n', 'to the nodes'], ['t', 'to the timeline; arrow keys read it, Enter looks at that moment'], ['g', 'to the guests'], ['/', 'search the log'], ['r', 'add a rule'], ['l', 'back to now'], ['Esc', 'close a dialog'], ['?', 'this help']];
  openDialog(dialog, h('div', { class: 'dlg' }, title('formtitle', 'Help', dialog),
    h('p', {}, 'A cluster that runs the real CRM and LRM in simulated time. Switch things off and see what happens: a node without network is fenced after a minute, and its guests start elsewhere.'),
    h('p', {}, 'Choose a guest to read why it is where it is. Move the slider below the timeline to look at an earlier moment, and go on from there if you like.'),
    h('dl', { class: 'keys' }, keys.map(([k, t]) => [h('dt', {}, h('kbd', {}, k)), h('dd', {}, t)]))));
}
