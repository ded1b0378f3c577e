// The spectrum, drawn by uPlot: measured against the best explanation and the references; mouse, touch and keyboard.
import { t } from "./strings.js";

const NAMING = ["match", "mixture", "class"]; // verdicts whose explanation is a result
const HEIGHT_PX = 380;
const SVG = "http://www.w3.org/2000/svg";
const REFERENCE_COLOURS = ["--plot-1", "--plot-2", "--plot-3", "--plot-4"];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function number(value) {
  return value == null ? "–" : value.toFixed(3);
}

// One line of the legend: a check box, a sample of the line, its name.
function entry(line, onChange) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: line.show });
  box.addEventListener("change", () => onChange(box.checked));
  const sample = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  sample.setAttribute("viewBox", "0 0 38 10");
  sample.setAttribute("aria-hidden", "true");
  path.setAttribute("d", "M0 5h38");
  path.setAttribute("stroke", line.stroke());
  path.setAttribute("stroke-width", String(line.width + 1));
  path.setAttribute("stroke-dasharray", (line.dash ?? []).join(" "));
  sample.append(path);
  label.append(box, sample, line.label);
  return label;
}

export class Plot {
  constructor(place, cursor, data) {
    this.place = place;
    this.cursor = cursor;
    this.data = data;
    this.axis = data.axis_cm1;
    this.at = 0;
    this.fitName = t(NAMING.includes(data.verdict) ? "fit" : "fit_nearest");
    this.draw();
    place.addEventListener("keydown", (event) => this.key(event));
    document.getElementById("plot-buttons").addEventListener("click", (event) => {
      const what = event.target.closest("button")?.dataset.do;
      if (what) this.act(what);
    });
    new ResizeObserver(() => this.plot.setSize({ width: place.clientWidth, height: HEIGHT_PX })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  series() {
    const lines = [{}, { label: t("measured"), stroke: colour("--plot-measured"), width: 2 }];
    const columns = [this.axis, this.data.measured];
    if (this.data.fit.length) {
      lines.push({ label: this.fitName, stroke: colour("--plot-fit"), width: 2, dash: [8, 4] });
      columns.push(this.data.fit);
    }
    this.data.references.forEach((reference, i) => {
      const several = this.data.references.length > 1;
      lines.push({ label: reference.name, stroke: colour(REFERENCE_COLOURS[i]), width: 1.5, show: several });
      columns.push(reference.values);
    });
    return [lines, columns];
  }

  draw() {
    this.plot?.destroy();
    const [series, columns] = this.series();
    const pen = { stroke: colour("--ink"), grid: { stroke: colour("--plot-grid"), width: 1 }, font: "14px sans-serif", labelFont: "15px sans-serif" };
    const options = {
      width: this.place.clientWidth,
      height: HEIGHT_PX,
      legend: { show: false },
      scales: { x: { time: false } },
      series,
      axes: [{ ...pen, label: t("axis_cm1"), ticks: { stroke: colour("--line") } }, { ...pen, size: 56, label: t("intensity"), ticks: { stroke: colour("--line") } }],
      cursor: { drag: { x: true, y: false, setScale: true }, points: { size: 9 } },
      hooks: { setCursor: [(plot) => this.tell(plot.cursor.idx)], ready: [(plot) => this.ready(plot)] },
    };
    this.plot = new uPlot(options, columns, this.place);
  }

  // Check boxes instead of uPlot's own legend: they are large, and the keyboard reaches them.
  ready(plot) {
    plot.root.querySelector("canvas").setAttribute("aria-hidden", "true");
    const legend = document.getElementById("legend");
    for (const old of legend.querySelectorAll("label")) old.remove();
    plot.series.forEach((line, i) => {
      if (i > 0) legend.append(entry(line, (show) => plot.setSeries(i, { show })));
    });
    legend.hidden = false;
  }

  tell(index) {
    if (index == null) return;
    this.at = index;
    const { measured, fit } = this.data;
    const parts = [`${this.axis[index].toFixed(1)} cm⁻¹`, `${t("measured")} ${number(measured[index])}`];
    if (fit.length) parts.push(`${this.fitName} ${number(fit[index])}`);
    this.cursor.textContent = parts.join(" · ");
  }

  move(step) {
    const { min, max } = this.plot.scales.x;
    let next = Math.min(Math.max(this.at + step, 0), this.axis.length - 1);
    if (this.axis[next] < min || this.axis[next] > max) {
      next = this.axis.findIndex((x) => x >= (min + max) / 2);
    }
    this.at = next;
    this.plot.setCursor({ left: this.plot.valToPos(this.axis[next], "x"), top: 10 });
    this.tell(next);
  }

  zoom(factor) {
    const { min, max } = this.plot.scales.x;
    const first = this.axis[0];
    const last = this.axis.at(-1);
    const inside = this.axis[this.at] >= min && this.axis[this.at] <= max && this.at > 0;
    const centre = inside ? this.axis[this.at] : (min + max) / 2;
    const half = Math.max(((max - min) * factor) / 2, 10);
    this.plot.setScale("x", { min: Math.max(centre - half, first), max: Math.min(centre + half, last) });
  }

  act(what) {
    const step = Math.max(1, Math.round(this.axis.length / 400));
    if (what === "left") this.move(-step);
    if (what === "right") this.move(step);
    if (what === "in") this.zoom(0.5);
    if (what === "out") this.zoom(2);
    if (what === "all") this.plot.setScale("x", { min: this.axis[0], max: this.axis.at(-1) });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const what = { ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", 0: "all", Escape: "all" }[event.key];
    if (!what) return;
    event.preventDefault();
    this.act(what);
  }
}
