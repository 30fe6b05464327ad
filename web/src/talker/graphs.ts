/** Graphs: the two ONNX graphs of a bundle, run by ONNX Runtime's WebAssembly. */

import * as ort from "onnxruntime-web/wasm";

import type { Bundle } from "./bundle.js";
import { ModelError } from "./errors.js";

/** Where ONNX Runtime is; by default beside its own script. */
export interface Runtime {
  /** The content of `ort-wasm-simd-threaded.wasm`. */
  binary?: ArrayBuffer;
  /** Where `ort-wasm-simd-threaded.mjs` is. */
  glue?: string;
  /** Threads; without cross-origin isolation there is one. */
  threads?: number;
}

/** What a frame leaves to the next. */
export interface FrameState {
  cache: ort.Tensor;
  context: ort.Tensor;
  motion: ort.Tensor;
  position: number;
}

export class Graphs {
  private constructor(
    private readonly bundle: Bundle,
    private readonly speech: ort.InferenceSession,
    private readonly talker: ort.InferenceSession,
  ) {}

  static async load(bundle: Bundle, runtime: Runtime): Promise<Graphs> {
    const isolated = globalThis.crossOriginIsolated ?? false;
    ort.env.wasm.numThreads = isolated ? (runtime.threads ?? Math.min(4, navigator.hardwareConcurrency)) : 1;
    if (runtime.binary) ort.env.wasm.wasmBinary = runtime.binary;
    if (runtime.glue) ort.env.wasm.wasmPaths = { mjs: runtime.glue };
    const graph = async (content: Uint8Array, name: string) => {
      try {
        return await ort.InferenceSession.create(content, { executionProviders: ["wasm"], logSeverityLevel: 3 });
      } catch (error) {
        throw new ModelError(`${name} cannot be run (${(error as Error).message}); export the model again`);
      }
    };
    const speech = await graph(bundle.speech, "speech.onnx"); // one after another: they share a start
    const talker = await graph(bundle.talker, "talker.onnx");
    return new Graphs(bundle, speech, talker);
  }

  /** The state before the first frame. */
  start(): FrameState {
    const zeros = (name: string) => {
      const shape = this.bundle.state[name] ?? [];
      return new ort.Tensor(new Float32Array(shape.reduce((n, m) => n * m, 1)), shape);
    };
    return { cache: zeros("cache"), context: zeros("context"), motion: zeros("motion"), position: 0 };
  }

  /** A window of samples -> what the talker hears in each of its frames. */
  async hear(window: Float32Array): Promise<Float32Array[]> {
    const { speech } = await this.speech.run({ samples: tensor(window) });
    const [frames = 0, width = 0] = speech!.dims;
    const values = speech!.data as Float32Array;
    return Array.from({ length: frames }, (_, i) => values.slice(i * width, (i + 1) * width));
  }

  /** One frame: its (K,) weights; the state moves on. */
  async frame(
    speech: Float32Array,
    style: Float32Array,
    noise: Float32Array,
    state: FrameState,
  ): Promise<Float32Array> {
    const { temperature, codes } = this.bundle;
    const out = await this.talker.run({
      speech: tensor(speech),
      style: tensor(style),
      noise: new ort.Tensor(noise, [1, temperature.length, codes]),
      cache: state.cache,
      context: state.context,
      motion: state.motion,
      position: new ort.Tensor(BigInt64Array.of(BigInt(state.position)), [1]),
    });
    state.cache = out.cache_out!;
    state.context = out.context_out!;
    state.motion = out.motion_out!;
    state.position += 1;
    return (out.motion_out!.data as Float32Array).slice();
  }

  async release(): Promise<void> {
    await this.speech.release();
    await this.talker.release();
  }
}

/** (N,) as a batch of one. */
function tensor(values: Float32Array): ort.Tensor {
  return new ort.Tensor(values, [1, values.length]);
}
