// A zoo at a URL: the one place that knows which file holds what.
import * as zarr from "zarrita";
import { Cache } from "./cache.js";
import { ParquetFile } from "./parquet.js";
import { fetchJson, fetchRange } from "./ranges.js";

/** Begins the names of metrics of the last epoch. */
export const FINAL = "final_";
/** Where a member's rows begin in metrics.parquet. */
export const METRICS_ROW = "metrics_row";
const KEPT_BLOCKS = 64;

/** The zoos that this page is about, as `{name, path, embeddings}`: the last tells whether there are any. */
export async function listZoos() {
  const { zoos } = await fetchJson(new URL("zoos.json", document.baseURI), { zoos: [{ name: "", path: "./" }] });
  const isCommon = (name) => zoos.filter((zoo) => zoo.name === name).length > 1;
  return zoos.map(({ name, path, ...rest }) => ({
    ...rest,
    name: isCommon(name) ? `${name} (${path})` : name,
    path: path.endsWith("/") ? path : `${path}/`,
  }));
}

/** A zoo, opened: header and member table are there, everything else is read when asked for. */
export class ZooSource {
  static async open(path) {
    const base = new URL(path, document.baseURI);
    const [header, members] = await Promise.all([
      fetchJson(new URL("zoo.json", base)),
      ParquetFile.open(new URL("browser/members.parquet", base)),
    ]);
    return new ZooSource(base, header, members);
  }

  constructor(base, header, members) {
    this.base = base;
    this.header = header;
    this.members = members;
    this.blocks = new Cache(KEPT_BLOCKS);
  }

  get checkpoints() {
    return this.header.checkpoints;
  }

  get layout() {
    return this.header.layout;
  }

  get parameters() {
    const last = this.layout.at(-1);
    return last.offset + sizeOf(last);
  }

  get stateBytes() {
    return this.parameters * (this.header.dtype === "float16" ? 2 : 4);
  }

  get metrics() {
    this.metricsFile ??= ParquetFile.open(new URL("metrics.parquet", this.base));
    return this.metricsFile;
  }

  /** One metric of a member at every checkpoint, Float64Array. */
  async curve(row, metric) {
    this.metricsRows ??= this.members.read(METRICS_ROW);
    const [file, rows] = await Promise.all([this.metrics, this.metricsRows]);
    return file.readSome(metric, rows[row], rows[row] + this.checkpoints.length);
  }

  /** The flat weights of one member at one checkpoint, Float32Array. */
  async state(row, checkpoint) {
    const length = (await this.weights).chunks[1];
    const start = Math.floor(checkpoint / length) * length;
    const states = await this.blocks.get(`${row}/${start}`, () => this.readStates(row, start, length));
    return states[checkpoint - start];
  }

  /** States of a member at the checkpoints that are stored together. */
  async readStates(row, start, length) {
    const end = Math.min(start + length, this.checkpoints.length);
    const { data } = await zarr.get(await this.weights, [row, zarr.slice(start, end), null]);
    const flat = Float32Array.from(data);
    const { parameters } = this;
    return Array.from({ length: end - start }, (_, index) => flat.subarray(index * parameters, (index + 1) * parameters));
  }

  get weights() {
    const store = new zarr.FetchStore(new URL("weights.zarr/weights", this.base).href, { fetch: fetchRange });
    this.weightsArray ??= zarr.open.v3(store, { kind: "array" });
    return this.weightsArray;
  }

  /** The embedding table. */
  embeddings() {
    return ParquetFile.open(new URL("browser/embeddings.parquet", this.base));
  }
}

/** Number of scalars of a tensor. */
export function sizeOf(slot) {
  return slot.shape.reduce((product, length) => product * length, 1);
}
