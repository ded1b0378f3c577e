// Puts values into markup that the server made: text only, so nothing from outside can become markup.
import { t } from "./strings.js";

export function fill(node, shown) {
  for (const place of node.querySelectorAll("[data-text]")) {
    const value = shown[place.dataset.text] ?? "";
    if (place.textContent !== value) place.textContent = value;
  }
}

export function fillTime(node, ms) {
  const time = node.querySelector("time");
  time.dataset.ms = String(ms ?? 0);
  localTimes(node);
}

// Times are shown local, with UTC in the title; a clock that was never set is said to be so.
export function localTimes(root) {
  const style = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of root.querySelectorAll("time[data-ms]")) {
    const ms = Number(time.dataset.ms);
    const known = ms > 0 && ms < 8.64e15;
    time.textContent = known ? style.format(ms) : t("time_unset");
    if (known) {
      const iso = new Date(ms).toISOString();
      time.title = `${iso.slice(0, 19).replace("T", " ")} UTC`;
      time.dateTime = iso;
    } else {
      time.removeAttribute("title");
      time.removeAttribute("datetime");
    }
  }
}

export function setKind(node, style) {
  node.dataset.kind = style;
  for (const use of node.querySelectorAll("svg use")) use.setAttribute("href", `#i-${style}`);
}

export function cloneTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
