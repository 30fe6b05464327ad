/**
 * GLB: a head with the motion as an animation. What the file holds stays as it is: the animation is
 * added to its JSON and its binary chunk. Section numbers are those of the glTF 2.0 specification.
 */

import { matched } from "../face/arkit.js";
import type { Motion } from "../talker/index.js";

const FLOAT = 5126;
const [JSON_CHUNK, BINARY_CHUNK] = [0x4e4f534a, 0x004e4942];
const MAGIC = 0x46546c67;

interface Document {
  accessors?: object[];
  animations?: object[];
  bufferViews?: object[];
  buffers?: { byteLength: number; uri?: string }[];
  meshes?: { primitives: { targets?: object[] }[]; extras?: { targetNames?: string[] } }[];
  nodes?: { mesh?: number; name?: string; rotation?: number[] }[];
}

/** The head with the motion; `turns` are rotations (x, y, z, w) of the node of its head, by frame. */
export function animatedGlb(glb: ArrayBuffer, motion: Motion, turns: Turns | null = null): Uint8Array<ArrayBuffer> {
  const { document, binary } = opened(glb);
  const file = new Appender(document, binary);
  const times = file.accessor(Float32Array.from(motion.weights, (_, i) => i / motion.fps), "SCALAR", true);
  const moved: { node: number; path: string; output: number }[] = [];
  document.nodes?.forEach((node, index) => {
    const mesh = node.mesh === undefined ? undefined : document.meshes?.[node.mesh];
    const targets = mesh?.extras?.targetNames ?? [];
    const columns = matched(motion.names, Object.fromEntries(targets.map((name, i) => [name, i])));
    if (!columns.size) return;
    const values = new Float32Array(motion.weights.length * targets.length);
    motion.names.forEach((name, column) => {
      const target = columns.get(name);
      if (target === undefined) return;
      motion.weights.forEach((frame, i) => (values[i * targets.length + target] = frame[column]!));
    });
    moved.push({ node: index, path: "weights", output: file.accessor(values, "SCALAR") });
  });
  if (turns) moved.push({ node: turns.node, path: "rotation", output: file.accessor(turns.rotations, "VEC4") });
  const animation = {
    name: "speech",
    samplers: moved.map(({ output }) => ({ input: times, interpolation: "LINEAR", output })),
    channels: moved.map(({ node, path }, sampler) => ({ sampler, target: { node, path } })),
  };
  (document.animations ??= []).push(animation);
  return file.binary();
}

export interface Turns {
  node: number;
  /** Four for each frame. */
  rotations: Float32Array;
}

function opened(glb: ArrayBuffer): { document: Document; binary: Uint8Array } {
  const view = new DataView(glb);
  if (view.getUint32(0, true) !== MAGIC) throw new Error("only a head that is one .glb file can be saved");
  let document: Document = {};
  let binary = new Uint8Array(0);
  for (let at = 12; at < glb.byteLength; at += 8 + view.getUint32(at, true)) {
    const content = new Uint8Array(glb, at + 8, view.getUint32(at, true));
    const kind = view.getUint32(at + 4, true);
    if (kind === JSON_CHUNK) document = JSON.parse(new TextDecoder().decode(content)) as Document;
    if (kind === BINARY_CHUNK) binary = content;
  }
  return { document, binary };
}

/** Adds arrays at the end of the binary chunk. */
class Appender {
  private readonly parts: Uint8Array[];
  private length: number;

  constructor(
    private readonly document: Document,
    binary: Uint8Array,
  ) {
    this.parts = [binary, new Uint8Array(-binary.length & 3)];
    this.length = (binary.length + 3) & ~3;
  }

  accessor(values: Float32Array, type: "SCALAR" | "VEC4", bounds = false): number {
    const views = (this.document.bufferViews ??= []);
    const accessors = (this.document.accessors ??= []);
    views.push({ buffer: 0, byteOffset: this.length, byteLength: values.byteLength });
    const count = values.length / (type === "VEC4" ? 4 : 1);
    const range = bounds ? { min: [values[0]], max: [values.at(-1)] } : {};
    accessors.push({ bufferView: views.length - 1, componentType: FLOAT, count, type, ...range });
    this.parts.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    this.length += values.byteLength;
    return accessors.length - 1;
  }

  /** The container (4.4): header, JSON padded with spaces, binary. */
  binary(): Uint8Array<ArrayBuffer> {
    const buffers = (this.document.buffers ??= [{ byteLength: 0 }]);
    buffers[0]!.byteLength = this.length;
    let text = new TextEncoder().encode(JSON.stringify(this.document));
    const padded = new Uint8Array((text.length + 3) & ~3).fill(0x20);
    padded.set(text);
    text = padded;
    const out = new Uint8Array(12 + 8 + text.length + 8 + this.length);
    const view = new DataView(out.buffer);
    const words = [MAGIC, 2, out.length, text.length, JSON_CHUNK];
    words.forEach((word, i) => view.setUint32(4 * i, word, true));
    out.set(text, 20);
    view.setUint32(20 + text.length, this.length, true);
    view.setUint32(24 + text.length, BINARY_CHUNK, true);
    let at = 28 + text.length;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
