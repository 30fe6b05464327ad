/**
 * Layers: what is laid over the learned motion of a stream, frame by frame
 * (`codetalker.causal.layers`): a mouth that comes out of rest, the strength of articulation, blinks,
 * and life.
 */

import { Blinks, LIDS } from "./blinks.js";
import type { Bundle } from "./bundle.js";
import { Life, type Liveliness } from "./life.js";

const JAW = "jawOpen";
/** Below this weight of the jaw, the mouth rests. */
const RESTING = 0.03;

/** The layers of one stream. */
export class Layers {
  private readonly column: ReadonlyMap<string, number>;
  private readonly blinks: Blinks | null;
  private readonly life: Life;
  private readonly onset: number;

  constructor(
    private readonly bundle: Bundle,
    seed: bigint,
    blinks: boolean,
  ) {
    const fps = bundle.windows.fps;
    this.column = new Map(bundle.blendshapes.map((name, i) => [name, i]));
    this.blinks = blinks && bundle.blinks ? new Blinks(bundle.blinks, fps, seed) : null;
    this.life = new Life(fps, seed);
    this.onset = Math.round(bundle.onset * fps);
  }

  /**
   * Lay the layers over a frame's (K,) weights, in place; return the head's turn.
   *
   * `sound`: its samples, after the bundle's gain.
   */
  lay(
    weights: Float32Array,
    sound: Float32Array,
    frame: number,
    strength: number,
    life: Liveliness,
  ): Float32Array | null {
    const { articulation } = this.bundle;
    if (frame < this.onset) {
      for (const i of articulation) weights[i]! *= (frame / this.onset) ** 2;
    }
    if (strength !== 1) {
      for (const i of articulation) weights[i]! *= strength;
      for (let i = 0; i < weights.length; i++) weights[i] = Math.min(Math.max(weights[i]!, 0), 1);
    }
    if (this.blinks) {
      const lid = this.blinks.next(frame, weights[this.column.get(JAW)!]! < Math.fround(RESTING));
      for (const name of LIDS) {
        const i = this.column.get(name)!;
        weights[i] = lid(weights[i]!);
      }
    }
    if (life === "off") return null;
    const moment = this.life.live(sound, life === "full", frame);
    for (const [name, added] of Object.entries(moment.weights)) {
      const i = this.column.get(name);
      if (i !== undefined) weights[i] = Math.min(weights[i]! + added, 1);
    }
    return moment.head;
  }
}
