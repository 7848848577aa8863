// Weight matrices and convolution kernels as images.
import { el } from "./dom.js";
import { sizeOf } from "./source.js";

const MOST_CHANNELS = 64;
const MOST_ROWS = 512;
const LARGEST_SIDE = 12;
const WIDTH = 560;

/** A picture of one tensor that can be drawn again for other weights. */
export class TensorPicture {
  constructor(slot) {
    this.slot = slot;
    this.plan = planOf(slot.shape);
    const { rows, columns } = this.plan;
    this.canvas = el("canvas", { width: columns, height: rows, role: "img", "aria-label": `Values of ${slot.name}` });
    const side = Math.max(1, Math.min(LARGEST_SIDE, Math.floor(WIDTH / columns)));
    this.canvas.style.width = `${columns * side}px`;
    this.caption = el("span", { className: "range-of" });
    const shape = slot.shape.join(" × ") || "scalar";
    this.element = el(
      "figure",
      { className: "tensor" },
      el("figcaption", {}, el("b", {}, slot.name), ` ${slot.kind} ${slot.role}, ${shape}${this.plan.note}, `, this.caption),
      this.canvas,
    );
  }

  /** Draw the tensor of a flat weight vector; colours reach from minus `reach` to `reach`. */
  draw(vector, reach) {
    const { rows, columns, indexOf } = this.plan;
    const image = new ImageData(columns, rows);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const index = indexOf(row, column);
        if (index === null) continue;
        image.data.set(diverging(vector[this.slot.offset + index] / reach), 4 * (row * columns + column));
      }
    }
    this.canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
    let [low, high] = [Infinity, -Infinity];
    for (const value of this.valuesOf(vector)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    this.caption.textContent = `from ${low.toPrecision(3)} to ${high.toPrecision(3)}`;
  }

  valuesOf(vector) {
    return vector.subarray(this.slot.offset, this.slot.offset + sizeOf(this.slot));
  }

  /** The 99th percentile of the magnitudes. */
  reach(vector) {
    const sorted = Float32Array.from(this.valuesOf(vector), Math.abs).sort();
    return sorted[Math.floor(0.99 * (sorted.length - 1))] || 1e-12;
  }
}

/** The pictures of the tensors of each layer, together. */
export function layersOf(pictures) {
  const layers = new Map();
  for (const picture of pictures) {
    const name = picture.slot.name.replace(/\.[^.]*$/, "");
    layers.set(name, [...(layers.get(name) ?? []), picture.element]);
  }
  return [...layers.values()].map((elements) => el("div", { className: "layer" }, elements));
}

/** How a tensor lies on a grid of pixels: kernels as tiles (outputs down, inputs across), matrices as they are. */
function planOf(shape) {
  if (shape.length === 4) return planKernels(shape);
  const [outputs, inputs] = shape.length === 2 ? shape : [1, shape.reduce((product, length) => product * length, 1)];
  const [rows, columns] = [outputs, inputs].map((length) => Math.min(length, MOST_ROWS));
  const note = rows < outputs || columns < inputs ? ` (first ${rows} × ${columns})` : "";
  return { rows, columns, note, indexOf: (row, column) => row * inputs + column };
}

function planKernels([outputs, inputs, height, width]) {
  const [down, across] = [Math.min(outputs, MOST_CHANNELS), Math.min(inputs, MOST_CHANNELS)];
  const note = down < outputs || across < inputs ? ` (first ${down} × ${across})` : "";
  const flip = across === 1;  // kernels of one input side by side, not in a tall column
  const [tileRows, tileColumns] = flip ? [1, down] : [down, across];
  const indexOf = (row, column) => {
    const [tileRow, y] = [Math.floor(row / (height + 1)), row % (height + 1)];
    const [tileColumn, x] = [Math.floor(column / (width + 1)), column % (width + 1)];
    if (y === height || x === width) return null;
    const [output, input] = flip ? [tileColumn, 0] : [tileRow, tileColumn];
    return ((output * inputs + input) * height + y) * width + x;
  };
  return { rows: tileRows * (height + 1) - 1, columns: tileColumns * (width + 1) - 1, note, indexOf };
}

const BLUE = [33, 102, 172];
const WHITE = [247, 247, 247];
const RED = [178, 24, 43];

/** Blue below zero, white at zero, red above; a number that is none is yellow. */
function diverging(value) {
  if (Number.isNaN(value)) return [240, 200, 0, 255];
  const share = Math.sqrt(Math.min(1, Math.abs(value)));
  const end = value < 0 ? BLUE : RED;
  return [...WHITE.map((white, channel) => Math.round(white + share * (end[channel] - white))), 255];
}
