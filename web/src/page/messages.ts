/** What the page and its worker, in which the model runs, say to each other. */

import type { Motion, StreamOptions } from "../talker/index.js";

/** What a stream's frames depend on, besides the sound. */
export type Manner = Pick<StreamOptions, "style" | "strength" | "life">;

export type Request =
  | { kind: "load"; model: string; binary: string; glue: string }
  | { kind: "start"; id: number; rate: number; manner: Manner }
  | { kind: "feed"; id: number; samples: Float32Array }
  | { kind: "set"; id: number; manner: Manner }
  | { kind: "finish"; id: number }
  | { kind: "stop"; id: number };

/** What is known of the model. */
export interface Facts {
  styles: readonly string[];
  names: readonly string[];
  fps: number;
  latency: number;
}

export type Answer =
  | { kind: "loading"; bytes: number }
  | { kind: "ready"; facts: Facts }
  | { kind: "frames"; id: number; motion: Motion; seconds: number; last: boolean }
  | { kind: "error"; id: number | null; message: string };
