// Unit cards and the form that asks a unit for something. Cards are updated in place: an open form is not disturbed.
import { cloneTemplate, fill } from "./fill.js";
import { t } from "./strings.js";

export function showUnits(units) {
  const list = document.getElementById("units");
  for (const unit of units) {
    let card = list.querySelector(`li[data-unit="${CSS.escape(unit.unit)}"]`);
    if (!card) {
      card = cloneTemplate("unit-template");
      card.dataset.unit = unit.unit;
      list.append(card);
    }
    card.dataset.state = unit.state;
    fill(card, unit.shown);
  }
  document.getElementById("no-units").hidden = list.children.length > 0;
}

function argsOf(command, form) {
  if (command !== "set_answers") return {};
  const given = [...new FormData(form)].filter(([, value]) => value !== "");
  return Object.fromEntries(
    given.map(([name, value]) => [name, ["series", "spot"].includes(name) ? Number(value) : value]),
  );
}

async function send(unit, command, args) {
  const answer = await fetch(`/api/units/${encodeURIComponent(unit)}/command`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ command, args }),
  });
  if (answer.ok) return t("ask_sent", { unit });
  const { error } = await answer.json();
  return `${t("ask_failed")} ${error.what} ${error.do_next}`;
}

export function answerForms(list) {
  list.addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const command = event.submitter.value;
    const unit = form.closest("[data-unit]").dataset.unit;
    const said = form.querySelector("output");
    said.textContent = "";
    try {
      said.textContent = await send(unit, command, argsOf(command, form));
    } catch {
      said.textContent = `${t("ask_failed")} ${t("connection_lost")}`;
    }
  });
}
