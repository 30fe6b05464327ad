/**
 * A live stream: sound in, in chunks of any size; motion out, as soon as it can be known
 * (`codetalker.causal.runtime` and `stream`).
 */

import type { Bundle } from "./bundle.js";
import { CODES, Draws } from "./draws.js";
import { AudioError, OptionError } from "./errors.js";
import type { FrameState, Graphs } from "./graphs.js";
import { Layers } from "./layers.js";
import { LIVELINESS, type Liveliness } from "./life.js";
import { Loudness } from "./loudness.js";
import { joinedMotion, type Motion } from "./motion.js";
import { joined, StreamResampler } from "./resampling.js";
import { blended, type Style } from "./styles.js";
import { SAMPLE_RATE } from "./windows.js";

const MAX_LEVEL = 16;

export interface StreamOptions {
  /** Hz of the sound; 16000 by default. */
  rate?: number;
  /** A style's name, or a blend of some: `A:0.3,B:0.7`. */
  style?: Style;
  /** Scale of the articulation, 0 to 3; 1 is as trained. */
  strength?: number;
  /** Procedural motion of eyes, head and brows; `off` by default. */
  life?: Liveliness;
  /** Of what speech does not determine, such as blinks. */
  seed?: number | bigint;
  /** Whether a model that has procedural blinks adds them; true by default. */
  blinks?: boolean;
}

export class TalkerStream {
  private readonly resampler: StreamResampler;
  private readonly loudness: Loudness | null;
  private readonly layers: Layers;
  private readonly seed: bigint;
  private readonly state: FrameState;
  private pending: Float32Array;
  private received = 0;
  private finished = false;
  private queue: Promise<unknown> = Promise.resolve();
  private styled!: Float32Array;
  private scale = 1;
  private liveliness: Liveliness = "off";

  constructor(
    private readonly bundle: Bundle,
    private readonly graphs: Graphs,
    options: StreamOptions = {},
  ) {
    const { rate = SAMPLE_RATE, seed = 0, blinks = true } = options;
    this.seed = checkedSeed(seed);
    this.resampler = new StreamResampler(rate);
    this.loudness = bundle.loudness && new Loudness(bundle.loudness);
    this.layers = new Layers(bundle, this.seed, blinks);
    this.state = graphs.start();
    this.pending = new Float32Array(bundle.windows.lead);
    this.set({ style: bundle.styles.keys().next().value!, strength: 1, life: "off" });
    this.set(options);
  }

  /** Change the manner from the next frame on. */
  set({ style, strength, life }: Pick<StreamOptions, "style" | "strength" | "life">): void {
    if (strength !== undefined && !(strength >= 0 && strength <= 3)) {
      throw new OptionError(`strength is ${strength}; choose from 0 to 3, where 1 is as trained`);
    }
    if (life !== undefined && !LIVELINESS.includes(life)) {
      throw new OptionError(`there is no life '${life}'; choose ${LIVELINESS.join(", ")}`);
    }
    if (style !== undefined) this.styled = blended(style, this.bundle.styles);
    this.scale = strength ?? this.scale;
    this.liveliness = life ?? this.liveliness;
  }

  /** Take the next (N,) samples, full scale -1..1; give the frames that they complete, 0 or more. */
  feed(samples: Float32Array): Promise<Motion> {
    this.checkOpen();
    checkSamples(samples);
    return this.next(() => this.advance(this.resampler.feed(samples)));
  }

  /** End the sound; give the frames that are left: ceil(seconds * fps) in all. */
  finish(): Promise<Motion> {
    this.checkOpen();
    this.finished = true;
    return this.next(async () => {
      const tail = await this.advance(this.resampler.finish());
      const windows = this.bundle.windows;
      const left = Math.ceil((this.received * windows.fps) / SAMPLE_RATE) - this.state.position;
      const hops = Math.ceil(left / windows.framesPerHop);
      const silence = (hops - 1) * windows.hopSamples + windows.samples - this.pending.length;
      const rest = await this.advance(new Float32Array(Math.max(silence, 0)));
      const kept = Math.max(left, 0);
      const head = rest.head && rest.head.slice(0, kept);
      return joinedMotion([tail, { ...rest, weights: rest.weights.slice(0, kept), head }]);
    });
  }

  /** One after another, however often they are called. */
  private next(work: () => Promise<Motion>): Promise<Motion> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => {});
    return done;
  }

  /** Run every window that the samples, at 16 kHz, complete. */
  private async advance(samples: Float32Array): Promise<Motion> {
    const { windows, blendshapes: names } = this.bundle;
    this.received += samples.length;
    const pending = (this.pending = joined([this.pending, samples]));
    const count = Math.max(0, Math.floor((pending.length - windows.samples) / windows.hopSamples) + 1);
    const first = this.state.position;
    const weights: Float32Array[] = [];
    const head: Float32Array[] = [];
    const life = this.liveliness;
    for (let i = 0; i < count; i++) {
      const start = i * windows.hopSamples;
      const window = this.levelled(pending.slice(start, start + windows.samples));
      const heard = await this.graphs.hear(window);
      const step = windows.hopSamples / windows.framesPerHop;
      for (const [n, speech] of heard.entries()) {
        const number = this.state.position;
        const frame = await this.graphs.frame(speech, this.styled, this.noise(number), this.state);
        const from = windows.lead + n * step;
        const turn = this.layers.lay(frame, window.subarray(from, from + step), number, this.scale, life);
        weights.push(frame);
        if (turn) head.push(turn);
      }
    }
    this.pending = pending.slice(count * windows.hopSamples);
    return { names, fps: windows.fps, first, weights, head: life === "off" ? null : head };
  }

  /** A window at its gain, which follows the sound up to its end. */
  private levelled(window: Float32Array): Float32Array {
    if (!this.loudness) return window;
    const { lead, hopSamples } = this.bundle.windows;
    const fresh = this.state.position ? window.subarray(-hopSamples) : window.subarray(lead);
    const gain = Math.fround(this.loudness.follow(fresh));
    return window.map((sample) => sample * gain);
  }

  /** (H, codes) Gumbel noise of a frame, scaled by the temperatures. */
  private noise(frame: number): Float32Array {
    const { temperature, codes } = this.bundle;
    const noise = new Float32Array(temperature.length * codes);
    const draws = new Draws(this.seed, frame, CODES);
    for (const [row, heat] of temperature.entries()) {
      if (heat > 0) noise.set(draws.gumbel(codes).map((value) => value * Math.fround(heat)), row * codes);
    }
    return noise;
  }

  private checkOpen(): void {
    if (this.finished) throw new AudioError("the stream is finished; start another one");
  }
}

function checkedSeed(seed: number | bigint): bigint {
  if ((typeof seed === "number" && !Number.isSafeInteger(seed)) || seed < 0 || BigInt(seed) >= 1n << 63n) {
    throw new OptionError(`seed is ${seed}; choose a whole number from 0 to 2^63 - 1`);
  }
  return BigInt(seed);
}

function checkSamples(samples: Float32Array): void {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample)); // NaN stays NaN
  if (!Number.isFinite(peak)) {
    throw new AudioError("the sound holds NaN or infinite samples; repair or re-export it");
  }
  if (peak > MAX_LEVEL) {
    throw new AudioError(`the sound holds samples up to ${peak.toFixed()} where full scale is 1; divide by the range`);
  }
}
