// The live list: rows, units and quarantine, fetched when the host says that they changed.
import { coalesce, follow, getJson } from "./connect.js";
import { cloneTemplate, fill, fillTime, localTimes, setKind } from "./fill.js";
import { t } from "./strings.js";
import { answerForms, showUnits } from "./units.js";

const KEEP_ROWS = 200;
const list = document.getElementById("measurements");
const following = list.dataset.follow === "yes";
const announced = new Set([...list.children].filter(hasVerdict).map((row) => row.dataset.id));

function hasVerdict(row) {
  return row.dataset.kind !== "pending";
}

function rowFor(measurement) {
  let row = list.querySelector(`li[data-id="${CSS.escape(measurement.id)}"]`);
  if (!row) {
    row = cloneTemplate("row-template");
    row.dataset.id = measurement.id;
    row.dataset.number = String(measurement.number);
    row.querySelector("a").setAttribute("href", `/records/${encodeURIComponent(measurement.id)}`);
    row.classList.add("fresh");
  }
  fill(row, measurement.shown);
  fillTime(row, measurement.time_ms);
  setKind(row, measurement.shown.style);
  return row;
}

// All new results in one text: a second text would push the first away before it is spoken. The number keeps equal
// results apart, as a reader may pass over the text it has just spoken.
function announce(measurements) {
  const fresh = measurements.filter((m) => m.shown.style !== "pending" && !announced.has(m.id)).reverse();
  if (fresh.length === 0) return;
  document.getElementById("announce").textContent = fresh
    .map(({ id, boot, seq, shown }) => {
      announced.add(id);
      const { unit, word, title, reason } = shown;
      return t("new_result", { unit, number: `${boot}-${seq}`, verdict: word, title: title || reason });
    })
    .join(" ");
}

const refreshRows = coalesce(async () => {
  if (!following) return;
  const { measurements } = await getJson("/api/measurements?limit=50");
  let place = list.firstElementChild;
  for (const measurement of measurements) {
    const row = rowFor(measurement);
    if (row === place) place = place.nextElementSibling;
    else list.insertBefore(row, place);
  }
  while (list.children.length > KEEP_ROWS) list.lastElementChild.remove();
  announce(measurements);
  document.getElementById("empty").hidden = list.children.length > 0;
  const older = document.getElementById("older");
  const last = list.lastElementChild?.dataset.number ?? "0";
  older.hidden = list.children.length < 50;
  older.href = `/?before=${encodeURIComponent(last)}`;
});

const refreshUnits = coalesce(async () => showUnits((await getJson("/api/units")).units));

const refreshQuarantine = coalesce(async () => {
  const { quarantine, total } = await getJson("/api/quarantine?limit=20");
  const items = quarantine.map((entry) => {
    const item = cloneTemplate("quarantine-template");
    fill(item, entry.shown);
    fillTime(item, entry.received_ms);
    return item;
  });
  document.getElementById("quarantined").replaceChildren(...items);
  document.getElementById("quarantine-count").textContent = String(total);
  document.getElementById("no-quarantine").hidden = items.length > 0;
});

localTimes(document);
answerForms(document.getElementById("units"));
function refreshAll() {
  refreshRows();
  refreshUnits();
  refreshQuarantine();
}

follow({
  onHello: refreshAll,
  onEvent(type) {
    if (type === "unit") refreshUnits();
    else if (type === "quarantine") refreshQuarantine();
    else if (type === "measurement" || type === "verdict") refreshRows();
    else if (type !== "bench") refreshAll(); // events were lost, or are of a kind this page does not know
  },
});
