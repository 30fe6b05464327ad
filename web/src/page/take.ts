/** Take: a sound and the motion that is made of it, as far as it is. */

import type { Pose } from "../face/head.js";
import type { Motion } from "../talker/index.js";
import { joined } from "../talker/resampling.js";
import type { Sound } from "./sound.js";

export class Take {
  private weights: Float32Array[] = [];
  private head: (Float32Array | null)[] = [];
  private parts: Float32Array[];
  private count: number;

  constructor(
    readonly name: string,
    sound: Sound,
    private readonly names: readonly string[],
    private readonly fps: number,
  ) {
    this.rate = sound.rate;
    this.parts = [sound.samples];
    this.count = sound.samples.length;
  }

  readonly rate: number;

  /** Seconds of sound. */
  get duration(): number {
    return this.count / this.rate;
  }

  get samples(): Float32Array {
    if (this.parts.length > 1) this.parts = [joined(this.parts)];
    return this.parts[0]!;
  }

  /** Take more sound. */
  hear(samples: Float32Array): void {
    this.parts.push(samples);
    this.count += samples.length;
  }

  /** Take frames, in place of those that are there. */
  put({ first, weights, head }: Motion): void {
    weights.forEach((frame, i) => {
      this.weights[first + i] = frame;
      this.head[first + i] = head?.[i] ?? null;
    });
  }

  /** Seconds of motion. */
  get ready(): number {
    return this.weights.length / this.fps;
  }

  /** All frames. */
  get motion(): Motion {
    const { names, fps, weights } = this;
    const heads = this.head.filter((head) => head !== null);
    return { names, fps, first: 0, weights, head: heads.length && heads.length === weights.length ? heads : null };
  }

  /** The face at a time, between two frames; null where there is none yet. */
  at(seconds: number): Pose | null {
    const last = this.weights.length - 1;
    const place = Math.min(Math.max(seconds * this.fps, 0), last);
    if (last < 0) return null;
    const [before, after, share] = [Math.floor(place), Math.ceil(place), place % 1];
    const between = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + share * (b[i]! - value));
    const [from, to] = [this.head[before], this.head[after]];
    return {
      names: this.names,
      weights: between(this.weights[before]!, this.weights[after]!),
      head: from && to ? between(from, to) : null,
    };
  }
}
