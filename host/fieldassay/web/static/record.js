// One record: local times, the plot, and word of a newer verdict.
import { coalesce, follow, getJson } from "./connect.js";
import { localTimes } from "./fill.js";
import { Plot } from "./plot.js";
import { t } from "./strings.js";

const record = document.getElementById("record");
const path = `/api/measurements/${encodeURIComponent(record.dataset.id)}`;

function showBands(bands) {
  const rows = bands.map((band) => {
    const row = document.createElement("tr");
    for (const value of [band.cm1.toFixed(1), band.measured_percent, band.fit_percent]) {
      row.append(Object.assign(document.createElement("td"), { textContent: value ?? "–" }));
    }
    return row;
  });
  document.querySelector("#bands tbody").replaceChildren(...rows);
}

async function showSpectrum() {
  const status = document.getElementById("plot-status");
  try {
    const data = await getJson(`${path}/spectrum`);
    new Plot(document.getElementById("plot"), document.getElementById("cursor"), data);
    showBands(data.bands);
    document.getElementById("plot-buttons").hidden = false;
    status.textContent = t("spectrum_recomputed", { library: data.library.slice(0, 19) });
    status.classList.replace("notice", "help");
    const { verdict } = record.dataset;
    if (verdict && verdict !== data.verdict) {
      const differs = document.getElementById("differs");
      differs.textContent = t("spectrum_differs", { verdict: t(`verdict_${data.verdict}`) });
      differs.hidden = false;
    }
  } catch (error) {
    status.textContent = `${t("spectrum_missing")} ${error.what ?? ""} ${error.do_next ?? ""}`;
  }
}

// A record without a verdict is shown anew when one comes; otherwise the reader decides when the page changes.
const lookForVerdict = coalesce(async () => {
  const { verdicts } = await getJson(path);
  if (verdicts.length <= Number(record.dataset.verdicts)) return;
  if (record.dataset.kind === "pending") location.reload();
  else document.getElementById("newer").hidden = false;
});

localTimes(document);
showSpectrum();
follow({
  onHello: lookForVerdict,
  onEvent(type, data) {
    const mine = (data.id ?? record.dataset.id) === record.dataset.id;
    if (type === "lost" || (type === "verdict" && mine)) lookForVerdict();
  },
});
