/** NPY: an array of float32 in numpy's file format (NEP 1). */

import { ModelError } from "./errors.js";

export interface NpyArray {
  shape: readonly number[];
  values: Float32Array;
}

/** Read a C-ordered little-endian float32 array; `name` opens the error. */
export function readNpy(file: Uint8Array, name: string): NpyArray {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const text = new TextDecoder("latin1");
  if (file.length < 12 || text.decode(file.subarray(1, 6)) !== "NUMPY") {
    throw new ModelError(`${name} is no npy file; export the model again`);
  }
  const [start, length] = file[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const header = text.decode(file.subarray(start, start + length));
  const shape = /'shape': \(([^)]*)\)/.exec(header)?.[1]?.split(",").filter((n) => n.trim()).map(Number);
  if (!shape || !header.includes("'<f4'") || !header.includes("'fortran_order': False")) {
    throw new ModelError(`${name} holds no float32 array; export the model again`);
  }
  const count = shape.reduce((product, n) => product * n, 1);
  const values = new Float32Array(count);
  const data = file.subarray(start + length);
  if (data.length < 4 * count) throw new ModelError(`${name} is cut short; export the model again`);
  new Uint8Array(values.buffer).set(data.subarray(0, 4 * count));
  return { shape, values };
}
