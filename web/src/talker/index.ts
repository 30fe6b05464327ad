/**
 * CodeTalker in the browser: speech in, ARKit weights out, with the frames of the Python package.
 *
 *     const talker = await createTalker({ bundleUrl: "/model/" });
 *     const motion = await talker.animate(samples, 48000);
 */

import { type Bundle, type BundleFiles, fetchBundle, readBundle } from "./bundle.js";
import { AudioError } from "./errors.js";
import { Graphs, type Runtime } from "./graphs.js";
import { joinedMotion, type Motion } from "./motion.js";
import { type StreamOptions, TalkerStream } from "./stream.js";

export type { BundleFiles } from "./bundle.js";
export * from "./errors.js";
export type { Runtime } from "./graphs.js";
export { LIVELINESS, type Liveliness } from "./life.js";
export type { Motion } from "./motion.js";
export type { StreamOptions, TalkerStream } from "./stream.js";
export type { Style } from "./styles.js";

/** How much of a recording `animate` feeds at once. */
const FEED_SECONDS = 4;

export interface TalkerOptions {
  /** Where the bundle's files are. */
  bundleUrl?: string;
  /** Or the files. */
  files?: BundleFiles;
  runtime?: Runtime;
  /** Hears how many bytes of the bundle have come. */
  progress?: (bytes: number) => void;
}

export interface AnimateOptions extends Omit<StreamOptions, "rate"> {
  /** Hears each part of the motion as it is made, and the seconds that are done. */
  progress?: (part: Motion, seconds: number) => void;
  /** Ends the work early. */
  signal?: AbortSignal;
}

/** Load a model. */
export async function createTalker(options: TalkerOptions): Promise<Talker> {
  const { bundleUrl = "model/", files, runtime = {}, progress } = options;
  const bundle = readBundle(files ?? (await fetchBundle(bundleUrl, progress)));
  return new Talker(bundle, await Graphs.load(bundle, runtime));
}

export class Talker {
  constructor(
    private readonly bundle: Bundle,
    private readonly graphs: Graphs,
  ) {}

  /** Names of the speaking styles, the default one first. */
  get styles(): readonly string[] {
    return [...this.bundle.styles.keys()];
  }

  /** Names of the weights. */
  get blendshapes(): readonly string[] {
    return this.bundle.blendshapes;
  }

  /** Frames per second. */
  get fps(): number {
    return this.bundle.windows.fps;
  }

  /** Seconds of sound after the start of a frame until a stream can give it, at most, at 16 kHz. */
  get latency(): number {
    return this.bundle.windows.latency;
  }

  /** What the model was trained on. */
  get notes(): Readonly<Record<string, string>> {
    return this.bundle.notes;
  }

  /** Start a live stream. */
  stream(options: StreamOptions = {}): TalkerStream {
    return new TalkerStream(this.bundle, this.graphs, options);
  }

  /** Turn a recording, (N,) samples at `rate` Hz, into motion. */
  async animate(samples: Float32Array, rate: number, options: AnimateOptions = {}): Promise<Motion> {
    if (!samples.length) throw new AudioError("the recording holds no sound samples; pass at least one");
    const { progress = () => {}, signal, ...manner } = options;
    const stream = this.stream({ ...manner, rate });
    const parts: Motion[] = [];
    const step = FEED_SECONDS * rate;
    for (let start = 0; start < samples.length; start += step) {
      signal?.throwIfAborted();
      parts.push(await stream.feed(samples.subarray(start, start + step)));
      progress(parts.at(-1)!, Math.min(start + step, samples.length) / rate);
    }
    const rest = await stream.finish();
    progress(rest, samples.length / rate);
    return joinedMotion([parts[0]!, ...parts.slice(1), rest]);
  }

  /** Let the model go. */
  release(): Promise<void> {
    return this.graphs.release();
  }
}
