/**
 * Life: eyes that look about, a head that is never quite still, accents with the voice. Procedural;
 * `codetalker.causal.life` says where its figures come from.
 */

import { LIFE, normal, uniform } from "./draws.js";

/** `idle`: eyes and head, as of one who listens; `full`: and what goes with one's own voice. */
export type Liveliness = "off" | "idle" | "full";
export const LIVELINESS: readonly Liveliness[] = ["off", "idle", "full"];

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** The slow part of pitch, yaw, roll: standard deviation, and where it falls off. */
const SWAY = [1.9, 2.2, 1.1].map(radians);
const SWAY_HZ = 0.1;
/** The quick part. */
const STIR = [0.66, 0.35, 0.18].map(radians);
const STIR_HZ = 1.6;
/** Of an eyeLook weight of 1. */
const EYE_TURN = radians(35);
const EYE_TURN_UP = radians(25);
/** Where the head stops to follow the voice. */
const NOD_HZ = 2;
/** The blendshapes of raised brows, and their shares. */
const BROWS = { browInnerUp: 1.0, browOuterUpLeft: 0.8, browOuterUpRight: 0.8 };
/** dB of full scale after the bundle's gain: silence, and stressed vowels. */
const QUIET = -42;
const LOUD = -18;

/** How lively: as the defaults of `codetalker.causal.life.Life`, which describes them. */
const MANNER = {
  sway: 1.0,
  stir: 1.2,
  rest: 0.3,
  nod: 0.03,
  fixation: { shortest: 0.3, mean: 1.3 },
  face: 0.03,
  away: { share: 0.15, far: 0.14 },
  stress: 0.2,
  pause: 1.4,
};

/** What is added in one frame: the head's pitch, yaw, roll in radians, and weights by name. */
export interface Moment {
  head: Float32Array;
  weights: Record<string, number>;
}

/** The life of one stream. */
export class Life {
  private readonly sway: Smooth;
  private readonly stir: Smooth;
  private readonly nod: Smooth;
  private loudness = 0;
  private usual = 0;
  private look: Pair = [0, 0];
  private looked: Pair = [0, 0];
  private lookAge = 0;
  private lookUntil = MANNER.fixation.mean;
  private brows = 0;
  private browsAge = 0;

  constructor(
    private readonly fps: number,
    private readonly seed: bigint,
  ) {
    this.sway = new Smooth(SWAY_HZ, fps, 3);
    this.stir = new Smooth(STIR_HZ, fps, 3);
    this.nod = new Smooth(NOD_HZ, fps, 1);
  }

  /** One frame, of whose samples (after the bundle's gain) the loudness counts if `spoken`. */
  live(sound: Float32Array, spoken: boolean, frame: number): Moment {
    const chance = uniform(this.seed, frame, LIFE, 19);
    const own = spoken ? loudnessOf(sound) : 0;
    this.loudness += share(0.08, this.fps) * (own - this.loudness);
    this.usual += share(1, this.fps) * (own - this.usual);
    const noise = normal(chance.subarray(0, 12));
    const quick = MANNER.stir * (MANNER.rest + (1 - MANNER.rest) * Math.min(1, 2 * this.usual));
    const slow = this.sway.noise(noise.subarray(0, 3));
    const fast = this.stir.noise(noise.subarray(3, 6));
    const head = SWAY.map((sway, i) => MANNER.sway * sway * slow[i]! + quick * STIR[i]! * fast[i]!);
    head[0]! -= MANNER.nod * this.nod.follow(Float64Array.of(own))[0]!;
    const [down, left] = this.gaze(chance.subarray(12, 18));
    const weights = eyeWeights(down - head[0]!, left - head[1]!);
    const raised = this.raise(chance[18]!);
    for (const [name, part] of Object.entries(BROWS)) weights[name] = part * raised;
    return { head: Float32Array.from(head), weights };
  }

  /** Where the eyes look, down and to the subject's left, whatever the head does; radians. */
  private gaze(chance: Float64Array): Pair {
    this.lookAge += 1 / this.fps;
    if (this.lookAge > this.lookUntil) {
      const { away, face, fixation } = MANNER;
      this.looked = this.look;
      const [down, left] = chance[4]! < away.share ? [0.6 * away.far, away.far] : [face, face];
      const [first, second] = normal(chance.subarray(0, 4));
      this.look = [first! * down, second! * left];
      this.lookUntil = fixation.shortest - Math.log1p(-chance[5]!) * (fixation.mean - fixation.shortest);
      this.lookAge = 0;
    }
    // A saccade takes 30 to 60 ms.
    const done = Math.min(1, (this.lookAge + 1 / this.fps) / 0.06);
    const [from, to] = [this.looked, this.look];
    return [from[0] + done * (to[0] - from[0]), from[1] + done * (to[1] - from[1])];
  }

  /** How far the brows are raised: up in 0.2 s, down in 0.6 s. */
  private raise(chance: number): number {
    this.browsAge += 1 / this.fps;
    if (this.loudness - this.usual > MANNER.stress && this.browsAge > MANNER.pause) {
      this.brows = 0.12 + 0.28 * chance;
      this.browsAge = 0;
    }
    const age = this.browsAge;
    const phase = age < 0.2 ? age / 0.2 : 1 + (age - 0.2) / 0.6;
    return (this.brows * (1 - Math.cos(Math.PI * Math.min(phase, 2)))) / 2;
  }
}

type Pair = readonly [number, number];

/** The eyeLook weights of eyes turned down and to the subject's left, radians. */
function eyeWeights(down: number, left: number): Record<string, number> {
  const weights: Record<string, number> = {};
  for (const [side, outward] of [["Left", left], ["Right", -left]] as const) {
    weights[`eyeLookDown${side}`] = Math.max(down, 0) / EYE_TURN;
    weights[`eyeLookUp${side}`] = Math.max(-down, 0) / EYE_TURN_UP;
    weights[`eyeLookOut${side}`] = Math.max(outward, 0) / EYE_TURN;
    weights[`eyeLookIn${side}`] = Math.max(-outward, 0) / EYE_TURN;
  }
  return weights;
}

/** 0..1 of a frame's samples, after the bundle's gain. */
function loudnessOf(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibel = 10 * Math.log10(power + 1e-12);
  return Math.min(Math.max((decibel - QUIET) / (LOUD - QUIET), 0), 1);
}

/** Three one-pole low-passes in a row: position, speed and acceleration are continuous. */
class Smooth {
  private readonly keep: number;
  private readonly power: number;
  private readonly stages: readonly Float64Array[];

  constructor(hertz: number, fps: number, width: number) {
    this.keep = Math.exp((-2 * Math.PI * hertz) / fps);
    const a = this.keep ** 2;
    // The impulse response is (1 - k)^3 (n + 1)(n + 2) / 2 k^n; its sum of squares:
    this.power = ((1 - this.keep) ** 6 * (1 + 4 * a + a ** 2)) / (1 - a) ** 5;
    this.stages = [0, 1, 2].map(() => new Float64Array(width));
  }

  /** The next values, smoothed. */
  follow(values: Float64Array): Float64Array {
    for (const stage of this.stages) {
      for (let i = 0; i < stage.length; i++) stage[i]! += (1 - this.keep) * (values[i]! - stage[i]!);
      values = stage;
    }
    return values.slice();
  }

  /** The same of white noise, brought to a standard deviation of 1. */
  noise(values: Float64Array): Float64Array {
    return this.follow(values).map((value) => value / this.power ** 0.5);
  }
}

/** Of the way to a new value that a one-pole low-pass goes in a frame. */
function share(seconds: number, fps: number): number {
  return 1 - Math.exp(-1 / (seconds * fps));
}
