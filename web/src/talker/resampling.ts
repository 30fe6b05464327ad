/**
 * StreamResampler: the one sample-rate converter, for whole recordings and for live chunks alike
 * (`codetalker.resampling`). Windowed-sinc interpolation in blocks of 40 output samples.
 */

import { AudioError } from "./errors.js";
import { SAMPLE_RATE } from "./windows.js";

/** Output samples that one matrix product gives. */
const BLOCK = 40;
/** Half the kernel, in samples of the lower rate. */
const ZERO_CROSSINGS = 48;
/** Cutoff over the lower Nyquist frequency. */
const ROLL_OFF = 0.95;
/** 90 dB down. */
const KAISER_BETA = 8.96;
/** Input samples at once. */
const SLICE = 1 << 19;

/** Converts a mono stream from `rate` to 16 kHz; output sample n lies at n / 16000 s of the input. */
export class StreamResampler {
  private received = 0;
  private blocks = 0;
  private origin = 0;
  private pending = new Float32Array(0);
  private readonly up: number;
  private readonly down: number;
  private readonly half: number;
  private readonly window: number;
  private readonly kernels = new Map<number, Float32Array>();

  constructor(readonly rate: number) {
    if (!(rate >= 1_000 && rate <= 1_000_000 && Number.isInteger(rate))) {
      throw new AudioError(`sample rate ${rate} is no whole number of Hz from 1000 to 1000000; correct it`);
    }
    const divisor = gcd(rate, SAMPLE_RATE);
    this.up = SAMPLE_RATE / divisor;
    this.down = rate / divisor;
    this.half = Math.ceil(ZERO_CROSSINGS * Math.max(1, rate / SAMPLE_RATE));
    this.window = Math.floor(((BLOCK - 1) * this.down + this.up - 1) / this.up) + 2 * this.half + 1;
    if (rate !== SAMPLE_RATE) {
      this.origin = -this.half;
      this.pending = new Float32Array(this.half);
    }
  }

  /** Take (N,) samples at `rate`; return those at 16 kHz that they complete. */
  feed(chunk: Float32Array): Float32Array {
    this.received += chunk.length;
    if (this.rate === SAMPLE_RATE) return chunk;
    const parts = [];
    for (let start = 0; start < chunk.length; start += SLICE) {
      parts.push(this.advance(chunk.subarray(start, start + SLICE)));
    }
    return joined(parts);
  }

  /** The last samples: ceil(N * 16000 / rate) in all. After this the resampler takes no more. */
  finish(): Float32Array {
    if (this.rate === SAMPLE_RATE) return new Float32Array(0);
    const missing = Math.ceil((this.received * SAMPLE_RATE) / this.rate) - this.blocks * BLOCK;
    const padding = this.half + Math.ceil((2 * BLOCK * this.rate) / SAMPLE_RATE);
    return this.advance(new Float32Array(padding)).subarray(0, missing);
  }

  private advance(chunk: Float32Array): Float32Array {
    const pending = (this.pending = joined([this.pending, chunk]));
    const { up, down, half, window } = this;
    // Block b reads input from floor(b * 40 * down / up) - half on, `window` samples.
    const last = this.origin + pending.length - window + half;
    const ready = Math.max(0, Math.floor((last * up + up - 1) / (BLOCK * down)) + 1 - this.blocks);
    const out = new Float32Array(ready * BLOCK);
    for (let i = 0; i < ready; i++) {
      const position = (this.blocks + i) * BLOCK * down;
      const start = Math.floor(position / up) - half - this.origin;
      const kernel = this.kernel(position % up);
      for (let n = 0; n < BLOCK; n++) {
        let sum = 0;
        for (let k = 0, at = n * window; k < window; k++, at++) sum += kernel[at]! * pending[start + k]!;
        out[i * BLOCK + n] = sum;
      }
    }
    this.blocks += ready;
    const keep = Math.floor((this.blocks * BLOCK * down) / up) - half - this.origin;
    this.pending = pending.slice(keep);
    this.origin += keep;
    return out;
  }

  /** (40, window): row n is the kernel of the output at phase / up + n * down / up. */
  private kernel(phase: number): Float32Array {
    const known = this.kernels.get(phase);
    if (known) return known;
    const { up, down, half, window } = this;
    const cutoff = ROLL_OFF * Math.min(1, SAMPLE_RATE / this.rate);
    const kernel = new Float32Array(BLOCK * window);
    for (let n = 0; n < BLOCK; n++) {
      for (let k = 0; k < window; k++) {
        const distance = half + (phase + n * down) / up - k;
        const inside = 1 - (distance / half) ** 2;
        if (inside <= 0) continue;
        const taper = bessel0(KAISER_BETA * Math.sqrt(inside)) / bessel0(KAISER_BETA);
        kernel[n * window + k] = cutoff * sinc(cutoff * distance) * taper;
      }
    }
    this.kernels.set(phase, kernel);
    return kernel;
  }
}

/** Arrays one after another. */
export function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The modified Bessel function I0, by its power series. */
function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-18 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b ? gcd(b, a % b) : a;
}
