// Follows /api/live for ever. Every connection begins with "hello": whoever listens fetches anew, so nothing is missed.
import { t } from "./strings.js";

const TYPES = ["measurement", "verdict", "unit", "quarantine", "store", "lost", "bench", "message"];
const SILENCE_MS = 1500;

function show(state) {
  const place = document.getElementById("connection");
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = t(`connection_${state}`);
}

// The host says when it cannot write evidence, and when it can again.
function showStore(data) {
  const place = document.getElementById("trouble");
  place.textContent = data.state === "failing" ? `${data.what} ${data.do_next}` : "";
  place.hidden = !place.textContent;
}

// onHello() after each (re)connection; onEvent(type, data) for each event.
export function follow({ onHello, onEvent }) {
  let source;
  function open() {
    source = new EventSource("/api/live");
    source.addEventListener("hello", () => {
      show("open");
      onHello();
    });
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        const data = JSON.parse(event.data);
        if (type === "store") showStore(data);
        else onEvent(type, data);
      });
    }
    source.onerror = () => {
      show("lost");
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(open, SILENCE_MS * (1 + Math.random()));
      }
    };
  }
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}

// Runs `job` now; calls that come while it runs cause one more run after it, however many they are.
export function coalesce(job) {
  let running = false;
  let again = false;
  return async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      do {
        again = false;
        await job();
      } while (again);
    } catch (error) {
      console.warn(String(error)); // the next event or reconnection tries again
    } finally {
      running = false;
    }
  };
}

export async function getJson(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error.what), body.error);
  return body;
}
