/**
 * Blinks: a procedural layer over the learned motion of the lids (`codetalker.causal.blinks`). A
 * hazard decides frame by frame whether a blink begins.
 */

import { BLINKS, uniform } from "./draws.js";

export const LIDS = ["eyeBlinkLeft", "eyeBlinkRight"] as const;

/** Lid weights of a blink in frames of 40 ms. */
const CURVES: readonly (readonly number[])[] = [
  [0.45, 1.0, 0.9, 0.6, 0.28, 0.1],
  [0.35, 0.95, 1.0, 0.7, 0.35, 0.12],
  [0.3, 0.9, 1.0, 0.9, 0.6, 0.3, 0.1],
];
/** Learned lids are kept up to this weight: a lid that is lowered further is a blink. */
const LEARNED = 0.15;
/** Frames since a blink, at the start of a recording. */
const NOT_YET = 1 << 20;

/** How often; rates are per second. */
export interface BlinkOptions {
  refractory: number;
  rise: number;
  most: number;
  resting: number;
}

/** The blinks of one stream. */
export class Blinks {
  private since = NOT_YET;
  private curve = 0;

  constructor(
    private readonly options: BlinkOptions,
    private readonly fps: number,
    private readonly seed: bigint,
  ) {}

  /** What the lids do in the next frame: their weight, given the learned one. */
  next(frame: number, resting: boolean): (learned: number) => number {
    this.since += 1;
    if (this.begins(frame, resting)) {
      this.since = 0;
      this.curve = Math.floor(uniform(this.seed, frame, BLINKS, 2)[1]! * CURVES.length);
    }
    const blinking = CURVES[this.curve]![this.since] ?? 0;
    return (learned) => Math.max(Math.min(learned, LEARNED), blinking);
  }

  private begins(frame: number, resting: boolean): boolean {
    const { refractory, rise, most, resting: factor } = this.options;
    const waited = this.since / this.fps - refractory;
    if (waited <= 0) return false;
    const hazard = Math.min(rise * waited, most) * (resting ? factor : 1);
    return uniform(this.seed, frame, BLINKS, 1)[0]! < hazard / this.fps;
  }
}
