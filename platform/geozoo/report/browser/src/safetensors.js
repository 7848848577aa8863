// A network's weights as a safetensors file.
import { sizeOf } from "./source.js";

/** The parts of a safetensors file of a flat weight vector (Float32Array) with its layout; `facts` are texts by name. */
export function encodeSafetensors(layout, vector, facts) {
  const entries = { __metadata__: facts };
  for (const slot of layout) {
    const span = [slot.offset, slot.offset + sizeOf(slot)].map((scalars) => 4 * scalars);
    entries[slot.name] = { dtype: "F32", shape: slot.shape, data_offsets: span };
  }
  const text = new TextEncoder().encode(JSON.stringify(entries));
  const padded = Math.ceil(text.length / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(text, 8);
  return [head, vector];
}
