// One job of the bench as the host describes it in `shown`: the same drawing for every kind of job; text only.
import { t } from "./strings.js";

function element(name, fields = {}, ...children) {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...children);
  return made;
}

function table({ head, rows }) {
  const top = element("tr", {}, ...head.map((text) => element("th", { scope: "col", textContent: text })));
  const body = rows.map((row) => element("tr", {}, ...row.map((text) => element("td", { textContent: text }))));
  const made = element("table", {}, element("thead", {}, top), element("tbody", {}, ...body));
  return element("div", { className: "wide-table", tabIndex: 0, role: "region", ariaLabel: head.join(", ") }, made);
}

function facts(pairs) {
  const entries = pairs.map(([name, value]) => element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
  return element("dl", { className: "facts" }, ...entries);
}

function bar(job) {
  const made = element("progress", { max: 1, ariaLabel: t("bench_progress") });
  if (job.part !== null) made.value = job.part;
  return made;
}

function details(job, onAccept) {
  const { shown, error } = job;
  const parts = [];
  if (error) {
    parts.push(element("p", { className: "large", textContent: error.what }));
    parts.push(element("p", { className: "large next", textContent: error.do_next }));
    parts.push(element("p", {}, element("code", { textContent: error.code })));
  }
  parts.push(...shown.lines.map((text) => element("p", { textContent: text })));
  if (shown.facts.length) parts.push(facts(shown.facts));
  if (shown.table) parts.push(table(shown.table));
  if (shown.picture) parts.push(element("img", { className: "picture", src: shown.picture.href, alt: shown.picture.text }));
  const links = shown.links.map(({ href, text }) => element("a", { className: "button", href, textContent: text }));
  if (shown.accept) {
    const accept = element("button", { type: "button", textContent: t("bench_do_accept") });
    accept.addEventListener("click", onAccept);
    links.push(accept);
  }
  if (links.length) parts.push(element("div", { className: "buttons" }, ...links));
  return parts;
}

// The status line stays the same node, so that screen readers hear its changes; the rest is drawn when the state changes.
export function showJob(place, job, { onAccept }) {
  if (!place.firstElementChild) {
    place.append(element("p", { className: "status", role: "status" }), element("div", { className: "moving" }), element("div", { className: "found" }));
  }
  const [status, moving, found] = place.children;
  const { title, state, step } = job.shown;
  const open = job.state === "waiting" || job.state === "running";
  const word = open && step ? `${title}: ${state}. ${step.replace(/\d+ of \d+ bytes/, "").trim()}` : `${title}: ${state}.`;
  if (status.textContent !== word) status.textContent = word;
  place.dataset.state = job.state;
  place.dataset.number = String(job.number);
  place.dataset.good = job.shown.good ? "yes" : "no";
  if (open) moving.replaceChildren(element("p", { textContent: step }), bar(job));
  else moving.replaceChildren();
  const drawn = `${job.number} ${job.state}`;
  if (found.dataset.drawn !== drawn) {
    found.dataset.drawn = drawn;
    found.replaceChildren(...details(job, onAccept));
  }
}
