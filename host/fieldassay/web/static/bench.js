// The bench: ports, fitness of units, and the newest job of every step. Jobs live in the host, so a reload loses nothing.
import { coalesce, follow, getJson } from "./connect.js";
import { showJob } from "./bench-job.js";
import { t } from "./strings.js";

const bench = document.getElementById("bench");
const shown = new Map(); // number of the job that a step shows, by action
let units = [];

function chosenPort() {
  return bench.querySelector("input[name=port]:checked")?.value ?? "";
}

function element(name, fields = {}, ...children) {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...children);
  return made;
}

function showPorts(ports) {
  const place = document.getElementById("ports");
  const before = chosenPort();
  const paths = ports.map((port) => port.path).join("\n");
  if (place.dataset.paths !== paths) {
    place.dataset.paths = paths;
    for (const old of place.querySelectorAll("label")) old.remove();
    const likely = ports.filter((port) => port.likely);
    for (const { path, what } of ports) {
      const only = likely.length === 1 && likely[0].path === path;
      const radio = element("input", { type: "radio", name: "port", value: path, checked: path === before || (!before && only) });
      place.append(element("label", {}, radio, element("span", {}, element("b", { textContent: path }), ` ${what}`)));
    }
  }
  place.hidden = ports.length === 0;
  document.getElementById("no-ports").hidden = ports.length > 0;
}

function showDuty() {
  const items = units.map(({ shown: words, check }) => {
    const item = element("li", { className: "unit" });
    item.dataset.duty = words.fit ? "fit" : "unfit";
    item.append(element("h3", { textContent: words.unit }), element("p", { className: "duty", textContent: words.duty }));
    item.append(element("p", { textContent: words.why }));
    if (check) {
      item.append(element("p", { textContent: check.shown }));
      item.append(element("p", {}, element("a", { className: "button", href: check.certificate, textContent: t("bench_certificate") })));
    }
    return item;
  });
  document.getElementById("duty").replaceChildren(...items);
  document.getElementById("no-duty").hidden = items.length > 0;
}

// Keeps what is chosen as long as it can still be chosen.
function options(select, values) {
  const wanted = JSON.stringify(values);
  if (select.dataset.options === wanted) return;
  select.dataset.options = wanted;
  const before = select.value;
  select.replaceChildren(...values.map(({ value, text }) => element("option", { value, textContent: text })));
  if (values.some(({ value }) => value === before)) select.value = before;
}

function showChoices() {
  for (const form of bench.querySelectorAll("form")) {
    const unit = form.elements.unit;
    if (!unit) continue;
    if (unit.tagName === "SELECT") options(unit, units.map((u) => ({ value: u.unit, text: u.unit })));
    const records = units.find((u) => u.unit === unit.value)?.records ?? [];
    const offered = records.map((r) => ({ value: r.id, text: r.shown }));
    if (offered.length === 0) offered.push({ value: "", text: t("bench_record_none") });
    for (const select of form.querySelectorAll("[data-records]")) options(select, offered);
  }
}

function place(job) {
  if ((shown.get(job.action) ?? 0) > job.number) return;
  shown.set(job.action, job.number);
  const where = bench.querySelector(`.outcome[data-for="${CSS.escape(job.action)}"]`);
  if (where) showJob(where, job, { onAccept: () => start(where, "accept", { job: job.number, port: chosenPort() }) });
}

function show(state) {
  units = state.units;
  showPorts(state.ports);
  showDuty();
  showChoices();
  const newest = new Map(state.jobs.toReversed().map((job) => [job.action, job]));
  for (const job of newest.values()) place(job);
}

const refresh = coalesce(async () => show(await getJson("/api/bench")));

const changed = new Set();
const refreshJobs = coalesce(async () => {
  const numbers = [...changed];
  changed.clear();
  for (const number of numbers) place(await getJson(`/api/bench/jobs/${number}`));
});

function bodyOf(action, form) {
  const given = Object.fromEntries(new FormData(form));
  const port = chosenPort();
  if (action === "verify") return { record: given.record };
  if (action === "calibrate") {
    return {
      unit: given.unit,
      laser_nm: Number(given.laser_nm),
      lamps: [{ name: given.lamp, record: given.lamp_record }],
      standards: [{ name: given.standard, record: given.standard_record }],
    };
  }
  for (const box of form.querySelectorAll("input[type=checkbox]")) given[box.name] = box.checked;
  return { port, ...given };
}

// Asks the host for a job; a refusal is shown and read out beside what was asked.
async function start(near, action, body) {
  const refused = near.closest("section").querySelector(".refused");
  refused.textContent = "";
  if ("port" in body && !body.port && !body.lost) {
    refused.textContent = t("bench_port_none");
    return;
  }
  try {
    const answer = await fetch(`/api/bench/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (answer.ok) {
      place(told);
      for (const secret of near.querySelectorAll("input[type=password]")) secret.value = "";
    } else {
      refused.textContent = `${told.error.what} ${told.error.do_next}`;
    }
  } catch {
    refused.textContent = t("connection_lost");
  }
}

bench.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  start(form, form.dataset.action, bodyOf(form.dataset.action, form));
});
bench.addEventListener("change", showChoices);
document.getElementById("look").addEventListener("click", refresh);

follow({
  onHello: refresh,
  onEvent(type, data) {
    if (type !== "bench") refresh();
    else {
      changed.add(data.number);
      refreshJobs();
    }
  },
});
