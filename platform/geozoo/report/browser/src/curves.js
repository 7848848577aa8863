// Training curves of a sample of the selection, and of the member looked at.
import * as Plot from "@observablehq/plot";
import { colours, palette } from "./dom.js";
import { labelOf } from "./table.js";

export const MOST_CURVES = 48;
const EPOCHS = { label: "epoch", labelAnchor: "center", labelArrow: "none", tickFormat: (epoch) => (Number.isInteger(epoch) ? epoch : "") };

/** Draw curves `[{row, epoch, values}]` of one metric: thin lines, their median and middle half, one marked. */
export function drawCurves(metric, curves, marked, width) {
  const { ink, accent, ghost, mark } = colours();
  const band = quantiles(curves.filter(({ row }) => row !== marked?.row));
  const lines = curves.flatMap(({ row, epoch, values }) =>
    epoch.map((at, index) => ({ row, epoch: at, value: finite(values[index]) })),
  );
  const own = marked ? marked.epoch.map((at, index) => ({ epoch: at, value: finite(marked.values[index]) })) : [];
  const every = [...lines, ...own].map(({ value }) => value).filter((value) => value !== null);
  return Plot.plot({
    width,
    height: 300,
    marginLeft: 52,
    style: { background: "none", color: ink },
    ariaLabel: `${labelOf(metric)} over epochs`,
    x: EPOCHS,
    y: { label: labelOf(metric), grid: true, labelArrow: "none", type: isWide(every) ? "log" : "linear" },
    marks: [
      Plot.areaY(band, { x: "epoch", y1: "low", y2: "high", fill: accent, fillOpacity: 0.15 }),
      Plot.lineY(lines, { x: "epoch", y: "value", z: "row", stroke: ghost, strokeWidth: 1, strokeOpacity: 0.8 }),
      Plot.lineY(band, { x: "epoch", y: "middle", stroke: accent, strokeWidth: 2.5 }),
      Plot.lineY(own, { x: "epoch", y: "value", stroke: mark, strokeWidth: 2.5 }),
      Plot.dot(own, { x: "epoch", y: "value", fill: mark, r: 2 }),
    ],
  });
}

const finite = (value) => (Number.isFinite(value) ? value : null);

function quantiles(curves) {
  if (curves.length < 2) return [];
  return curves[0].epoch.map((epoch, index) => {
    const values = Float64Array.from(curves.map(({ values }) => values[index]).filter(Number.isFinite)).sort();
    if (!values.length) return { epoch, low: null, middle: null, high: null };
    const at = (share) => values[Math.round(share * (values.length - 1))];
    return { epoch, low: at(0.25), middle: at(0.5), high: at(0.75) };
  });
}

/** Draw several metrics of one member, `{name: values}`, on one axis. */
export function drawMember(title, epochs, metrics, width) {
  const { ink } = colours();
  const names = Object.keys(metrics);
  const points = names.flatMap((name) =>
    epochs.map((epoch, index) => ({ epoch, name: labelOf(name), value: finite(metrics[name][index]) })),
  );
  const values = points.map(({ value }) => value).filter((value) => value !== null);
  return Plot.plot({
    width,
    height: 220,
    marginLeft: 52,
    style: { background: "none", color: ink },
    ariaLabel: `${title} over epochs`,
    color: { type: "categorical", domain: names.map(labelOf), range: palette() },
    x: EPOCHS,
    y: { label: title, grid: true, labelArrow: "none", type: isWide(values) ? "log" : "linear" },
    marks: [
      Plot.lineY(points, { x: "epoch", y: "value", z: "name", stroke: "name", strokeWidth: 2 }),
    ],
  });
}

const isWide = (values) => Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 1000;
