// One member: what it was trained with, its weights over epochs, and its download.
import { drawMember } from "./curves.js";
import { el, keysOf, saveFile } from "./dom.js";
import { encodeSafetensors } from "./safetensors.js";
import { FINAL } from "./source.js";
import { labelOf } from "./table.js";
import { layersOf, TensorPicture } from "./tensors.js";
import { View } from "./views.js";

const PARTS = ["train", "validation", "test"];
const LARGE_BYTES = 16e6;
const FRAME_MS = 150;

export class MemberView extends View {
  constructor(app) {
    super("member", "Member");
    this.app = app;
    this.turn = 0;
    this.section.hidden = true;
  }

  offer() {}

  /** Draw the member's curves, all accuracies on one axis and all losses on another. */
  async draw() {
    if (this.section.hidden) return;
    const { source, table } = this.app;
    const { row, curves } = this;
    const names = table.metricNames.map((name) => name.slice(FINAL.length));
    const plots = await Promise.all(
      ["accuracy", "loss"].map(async (kind) => {
        const wanted = PARTS.map((part) => `${part}_${kind}`).filter((name) => names.includes(name));
        const values = await Promise.all(wanted.map((name) => source.curve(row, name)));
        return [kind, Object.fromEntries(wanted.map((name, index) => [name, values[index]]))];
      }),
    );
    if (row !== this.row) return;
    const width = Math.min(640, this.width > 700 ? this.width / 2 - 16 : this.width);
    const shown = plots.filter(([, metrics]) => Object.keys(metrics).length);
    curves.replaceChildren(
      ...shown.map(([kind, metrics]) =>
        el("div", {}, drawMember(kind, source.checkpoints, metrics, width), el("div", { className: "legend" }, keysOf(Object.keys(metrics).map(labelOf)))),
      ),
    );
  }

  /** Look at a member. */
  show(row) {
    const { source, table } = this.app;
    this.stop();
    this.row = row;
    this.checkpoint = source.checkpoints.length - 1;
    this.section.hidden = false;
    this.section.querySelector("h2").textContent = `Member ${this.app.nameOf(row)}`;
    const facts = (columns) => columns.map((column) => el("div", {}, el("dt", {}, column.label), el("dd", {}, column.text(row))));
    const parameters = [...table.varying, ...table.constant].filter((column) => !column.isMetric);
    const metrics = [...table.varying, ...table.constant].filter((column) => column.isMetric);
    this.choices.replaceChildren(
      el("h3", {}, "Hyper-parameters"),
      el("dl", {}, facts(parameters)),
      el("h3", {}, "Metrics of the last epoch"),
      el("dl", {}, facts(metrics)),
    );
    this.pictures = null;
    this.curves = el("div", { className: "pair" });
    this.plot.replaceChildren(el("h3", {}, "Curves"), this.curves, ...this.controls());
    this.app.attempt(this.draw());
    if (source.stateBytes <= LARGE_BYTES) this.drawWeights();
    else this.offerWeights();
  }

  controls() {
    const { checkpoints } = this.app.source;
    this.slider = el("input", {
      type: "range", min: 0, max: checkpoints.length - 1, value: this.checkpoint, id: "epoch",
      oninput: () => this.go(Number(this.slider.value)),
    });
    this.epochText = el("output", { htmlFor: "epoch" });
    this.playButton = el("button", { type: "button", onclick: () => this.play() }, "Play");
    this.tensors = el("div", { className: "tensors" });
    const save = el("button", { type: "button", id: "save-member", onclick: () => this.app.attempt(this.save()) }, "Save weights (safetensors)");
    return [
      el("h3", {}, "Weights"),
      el("div", { className: "actions" }, el("label", { for: "epoch" }, "epoch"), this.slider, this.epochText, this.playButton, save),
      this.tensors,
    ];
  }

  offerWeights() {
    this.label();
    const size = `${Math.round(this.app.source.stateBytes / 1e6)} MB`;
    const read = el("button", { type: "button", onclick: () => this.drawWeights() }, `Read weights (${size} an epoch)`);
    this.tensors.replaceChildren(read);
  }

  label() {
    this.slider.value = this.checkpoint;
    this.epochText.textContent = this.app.source.checkpoints[this.checkpoint];
    this.slider.setAttribute("aria-valuetext", `epoch ${this.epochText.textContent}`);
  }

  go(checkpoint) {
    this.checkpoint = checkpoint;
    this.drawWeights();
  }

  drawWeights() {
    this.label();
    return this.app.attempt(this.redraw());
  }

  async redraw() {
    const turn = ++this.turn;
    const vector = await this.app.source.state(this.row, this.checkpoint);
    if (turn !== this.turn) return;
    if (!this.pictures) {
      this.pictures = this.app.source.layout.map((slot) => new TensorPicture(slot));
      this.reaches = this.pictures.map((picture) => picture.reach(vector));
      this.tensors.replaceChildren(...layersOf(this.pictures));
    }
    this.pictures.forEach((picture, index) => picture.draw(vector, this.reaches[index]));
    this.tensors.dataset.epoch = this.app.source.checkpoints[this.checkpoint];
    this.note.textContent =
      "Blue is negative, red positive; a tensor's colours keep their meaning over epochs. Kernels: one row an output channel, one column an input channel.";
  }

  play() {
    if (this.timer) return this.stop();
    const { length } = this.app.source.checkpoints;
    this.playButton.textContent = "Stop";
    if (this.checkpoint === length - 1) this.checkpoint = -1;
    const step = async () => {
      this.checkpoint += 1;
      await this.drawWeights();
      if (!this.timer) return;
      if (this.checkpoint === length - 1) this.stop();
      else this.timer = setTimeout(step, FRAME_MS);
    };
    this.timer = setTimeout(step, 0);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.playButton) this.playButton.textContent = "Play";
  }

  async save() {
    const { source } = this.app;
    const [row, checkpoint] = [this.row, this.checkpoint];
    const vector = await source.state(row, checkpoint);
    const [member, epoch] = [this.app.nameOf(row), source.checkpoints[checkpoint]];
    const facts = { zoo: source.header.name, member, epoch: String(epoch) };
    saveFile(`${member}-epoch-${epoch}.safetensors`, encodeSafetensors(source.layout, vector, facts), "application/octet-stream");
  }
}
