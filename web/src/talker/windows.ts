/**
 * Speech windows: how a waveform is cut so that offline and live features are the same
 * (`codetalker.windows`). A window holds some left context, the hop whose features it yields, and
 * a look-ahead.
 */

import { ModelError } from "./errors.js";

/** Hz; what the speech encoder takes. */
export const SAMPLE_RATE = 16_000;
/** Samples that a log-mel frame reaches to either side of its centre. */
const MEL_REACH = 200;
/** Samples per speech feature frame (20 ms). */
const FRAME = 320;

/** The cut, in feature frames of 20 ms, as the bundle's `config.json` gives it. */
export interface Cut {
  left: number;
  hop: number;
  look_ahead: number;
  fps: number;
}

export class SpeechWindows {
  /** Motion frames per second. */
  readonly fps: number;
  /** Samples in a window. */
  readonly samples: number;
  /** Samples from one window to the next. */
  readonly hopSamples: number;
  /** Motion frames that one window yields. */
  readonly framesPerHop: number;
  /** Samples of silence before the sound in the first window. */
  readonly lead: number;
  /** Seconds of sound after the start of a motion frame before it can be known, at most. */
  readonly latency: number;

  constructor({ left, hop, look_ahead, fps }: Cut) {
    this.fps = fps;
    this.samples = MEL_REACH + (left + hop + look_ahead) * FRAME;
    this.hopSamples = hop * FRAME;
    this.framesPerHop = (this.hopSamples * fps) / SAMPLE_RATE;
    this.lead = MEL_REACH + left * FRAME;
    this.latency = ((hop + look_ahead) * FRAME) / SAMPLE_RATE;
    if (!(Number.isInteger(this.framesPerHop) && this.framesPerHop > 0)) {
      throw new ModelError("the hop of config.json holds no whole number of motion frames; export the model again");
    }
  }
}
