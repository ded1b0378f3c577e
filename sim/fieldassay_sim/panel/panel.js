// The panel of a simulated unit: asks the server five times a second and draws what changed.
"use strict";

const POLL_MS = 200;
const KEPT_EVENTS = 200;
const $ = (id) => document.getElementById(id);
let unit = new URLSearchParams(location.search).get("unit");
let lastEvent = 0;

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) {
    const error = answer.error || { what: "The simulator refused.", do_next: "" };
    throw new Error(`${error.what} ${error.do_next}`);
  }
  return answer;
}

function trouble(text) {
  $("trouble").hidden = !text;
  $("trouble").textContent = text;
}

const post = (what, body) =>
  ask(`/api/units/${encodeURIComponent(unit)}/${what}`, body).then(() => trouble(""), (e) => trouble(e.message));
const change = (changes) => post("condition", changes);
const press = (button, holdMs) => post("press", holdMs ? { button, hold_ms: holdMs } : { button });

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function drawDisplay(rows, running) {
  const display = $("display");
  display.classList.toggle("off", !running);
  while (display.children.length < 8) display.append(document.createElement("div"));
  for (let i = 0; i < 8; i += 1) {
    const [text, style] = rows[i] || ["", ""];
    setText(display.children[i], text || " ");
    display.children[i].className = style;
  }
}

function drawLamp(state) {
  const lamp = $("lamp");
  lamp.classList.toggle("on", state.laser_light_mw > 0);
  lamp.classList.toggle("enabled", state.laser_enabled && !(state.laser_light_mw > 0));
  const enabled = state.laser_enabled ? "laser enabled, gate open: no light" : "laser off";
  setText(lamp, state.laser_light_mw > 0 ? `LASER ON  ${state.laser_light_mw} mW` : enabled);
}

function drawSlider(id, value, text) {
  if (document.activeElement !== $(id)) $(id).value = value;
  setText($(id.replace(/_.*/, "_out")), text);
}

function details(event) {
  const skip = new Set(["n", "at_ms", "time_ms", "unit", "event", "kind"]);
  const shown = Object.entries(event.details || event).filter(([key]) => !skip.has(key));
  return shown.map(([k, v]) => `${k} ${typeof v === "object" ? JSON.stringify(v) : v}`).join(", ");
}

// An event that repeats the one before it adds to a count instead of a line.
function drawEvents(events) {
  for (const event of events) {
    const newest = $("events").firstChild;
    const time = new Date(event.time_ms).toLocaleTimeString([], { hour12: false });
    const texts = [time, event.kind || event.event, details(event)];
    const same = texts.slice(1).join("\n");
    if (newest && newest.dataset.same === same) {
      newest.dataset.times = Number(newest.dataset.times) + 1;
      newest.firstChild.textContent = time;
      newest.children[1].textContent = `${texts[1]} ×${newest.dataset.times}`;
      continue;
    }
    const line = document.createElement("li");
    line.className = event.event;
    line.dataset.same = same;
    line.dataset.times = 1;
    for (const text of texts) {
      const cell = document.createElement("span");
      cell.textContent = text;
      line.append(cell);
    }
    $("events").prepend(line);
  }
  while ($("events").children.length > KEPT_EVENTS) $("events").lastChild.remove();
}

function check(group, value) {
  for (const button of $(group).children) {
    button.setAttribute("aria-checked", String(button.dataset.value === value));
  }
}

function draw(state) {
  drawDisplay(state.rows, state.running);
  drawLamp(state);
  check("tray", state.sample);
  check("packaging", state.packaging);
  $("lid").checked = state.lid === "closed";
  $("key").checked = state.key === "closed";
  for (const id of ["interlock_unreadable", "detector_failing", "detector_saturated"]) {
    $(id).checked = state[id];
  }
  drawSlider("battery_mv", state.battery_mv, `${(state.battery_mv / 1000).toFixed(2)} V`);
  drawSlider("detector_degc", state.detector_degc, `${state.detector_degc.toFixed(0)} °C`);
  setText($("spool"), state.spool ? `${state.spool[0]} of ${state.spool[1]}` : "–");
  setText($("clock"), state.clock);
  setText($("boots"), `${state.boots}, ${state.power_cuts} power cuts`);
  const broken = state.violations.length;
  setText($("violations"), broken ? state.violations.map((v) => v.rule).join(", ") : `none, ${state.laser_fired} fired`);
  $("violations").classList.toggle("bad", broken > 0);
  drawEvents(state.events);
  // A simulator that was started again counts from 1: ask for all of its events the next time.
  lastEvent = state.last_event < lastEvent ? 0 : state.last_event;
}

function radio(group, value, title, key) {
  const button = document.createElement("button");
  button.setAttribute("role", "radio");
  button.setAttribute("aria-checked", "false");
  button.dataset.value = value;
  button.textContent = title;
  button.addEventListener("click", () => change({ [key]: value }));
  $(group).append(button);
}

async function start() {
  const [scenario, all] = await Promise.all([ask("/api/scenario"), ask("/api/units")]);
  unit = unit || all.units[0].unit;
  document.title = `${unit} – fieldassay simulator`;
  setText($("scenario"), scenario.title);
  for (const sample of scenario.samples) radio("tray", sample.id, sample.title, "sample");
  radio("tray", "", "nothing", "sample");
  for (const kind of scenario.packagings) radio("packaging", kind, kind.replace("_", " "), "packaging");
  for (const one of all.units) {
    const link = document.createElement("a");
    link.href = `/?unit=${encodeURIComponent(one.unit)}`;
    link.textContent = one.unit;
    if (one.unit === unit) link.setAttribute("aria-current", "page");
    $("units").append(link);
  }
  poll();
}

async function poll() {
  try {
    draw(await ask(`/api/units/${encodeURIComponent(unit)}?after=${lastEvent}`));
    if ($("trouble").dataset.lost) { trouble(""); delete $("trouble").dataset.lost; }
  } catch (error) {
    $("trouble").dataset.lost = "1";
    $("display").classList.add("off");
    trouble(`The simulator does not answer (${error.message}). Start it again; this page goes on by itself.`);
  }
  setTimeout(poll, POLL_MS);
}

let okDown = 0;
for (const id of ["trigger", "next"]) $(id).addEventListener("click", () => press(id));
$("ok").addEventListener("pointerdown", () => { okDown = performance.now(); });
$("ok").addEventListener("click", () => {
  const held = okDown ? performance.now() - okDown : 0;
  okDown = 0;
  press("ok", held > 600 ? 2000 : 0);
});
$("lid").addEventListener("change", (e) => change({ lid: e.target.checked ? "closed" : "open" }));
$("key").addEventListener("change", (e) => change({ key: e.target.checked ? "closed" : "open" }));
for (const id of ["interlock_unreadable", "detector_failing", "detector_saturated"]) {
  $(id).addEventListener("change", (e) => change({ [id]: e.target.checked }));
}
$("battery_mv").addEventListener("change", (e) => { change({ battery_mv: Number(e.target.value) }); e.target.blur(); });
$("detector_degc").addEventListener("change", (e) => { change({ detector_degc: Number(e.target.value) }); e.target.blur(); });
$("power").addEventListener("click", () => post("power_cut", {}));
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.repeat) return;
  const key = e.key.toLowerCase();
  if (key === "t") press("trigger");
  else if (key === "n") press("next");
  else if (key === "o") press("ok");
  else if (key === "l") $("lid").click();
  else if (key === "k") $("key").click();
});
start().catch((error) => trouble(`The simulator does not answer (${error.message}). Start it, then reload this page.`));
