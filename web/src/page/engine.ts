/** Engine: the page's side of the worker in which the model runs. */

import ortBinary from "virtual:ort-wasm";
import ortGlue from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";

import type { Motion } from "../talker/index.js";
import type { Answer, Facts, Manner, Request } from "./messages.js";
import TalkerWorker from "./worker.js?worker";

/** Seconds of a recording that are asked for at once: so long it takes until a change is heard. */
const PIECE = 0.5;

/** What hears of a stream's frames. */
export interface Listener {
  frames(motion: Motion, last: boolean): void;
  failed(message: string): void;
}

export class Engine {
  /** Seconds of computing, and of sound, so far. */
  readonly spent = { computing: 0, sound: 0 };
  private readonly worker = new TalkerWorker();
  private readonly listeners = new Map<number, Listener>();
  private next = 0;

  /** Load the model at a URL; `progress` hears the bytes that have come. */
  load(model: string, progress: (bytes: number) => void): Promise<Facts> {
    const here = (url: string) => new URL(url, document.baseURI).href;
    this.ask({ kind: "load", model: here(model), binary: here(ortBinary), glue: here(ortGlue) });
    return new Promise((resolve, reject) => {
      this.worker.onerror = (event) => reject(new Error(event.message || "the model's script cannot be loaded; reload the page"));
      this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        if (data.kind === "loading") progress(data.bytes);
        else if (data.kind === "ready") resolve(data.facts);
        else if (data.kind === "error" && data.id === null) reject(new Error(data.message));
        else this.heard(data);
      };
    });
  }

  /** Start a stream; returns its number. */
  start(rate: number, manner: Manner, listener: Listener): number {
    const id = this.next++;
    this.listeners.set(id, listener);
    this.ask({ kind: "start", id, rate, manner });
    return id;
  }

  feed(id: number, samples: Float32Array): void {
    this.ask({ kind: "feed", id, samples });
  }

  set(id: number, manner: Manner): void {
    this.ask({ kind: "set", id, manner });
  }

  finish(id: number): void {
    this.ask({ kind: "finish", id });
  }

  /** Forget a stream, whatever is still to come of it. */
  stop(id: number): void {
    if (this.listeners.delete(id)) this.ask({ kind: "stop", id });
  }

  /** A whole recording as a stream. */
  animate(samples: Float32Array, rate: number, manner: Manner, listener: Listener): number {
    const id = this.start(rate, manner, listener);
    const step = Math.ceil(PIECE * rate);
    for (let at = 0; at < samples.length; at += step) this.feed(id, samples.slice(at, at + step));
    this.finish(id);
    return id;
  }

  private ask(request: Request): void {
    this.worker.postMessage(request);
  }

  private heard(data: Answer): void {
    if (data.kind === "frames") {
      this.spent.computing += data.seconds;
      this.spent.sound += data.motion.weights.length / data.motion.fps;
      this.listeners.get(data.id)?.frames(data.motion, data.last);
      if (data.last) this.listeners.delete(data.id);
    } else if (data.kind === "error" && data.id !== null) {
      this.listeners.get(data.id)?.failed(data.message);
      this.listeners.delete(data.id);
    }
  }
}
