/**
 * Loudness: how much each speech window is amplified, so that motion does not depend on level
 * (`codetalker.causal.loudness`). The level is followed causally, window by window.
 */

/** Samples per block whose power is measured: 20 ms. */
const BLOCK = 320;
const BLOCKS_PER_SECOND = 50;
/** Of the first difference that is measured. */
const WHITENING = 0.95;

/** `target` and `floor` in dB of full scale, `attack` in seconds, `release` in dB per second. */
export interface LoudnessOptions {
  target: number;
  floor: number;
  attack: number;
  release: number;
}

/** A slow automatic gain of one stream. */
export class Loudness {
  private short = 0;
  private held = 0;

  constructor(private readonly options: LoudnessOptions) {}

  /** Hear the next samples, whole blocks; return the gain after them. */
  follow(samples: Float32Array): number {
    const { target, floor, attack, release } = this.options;
    const share = 1 - Math.exp(-1 / (attack * BLOCKS_PER_SECOND));
    const fall = 10 ** (-release / 10 / BLOCKS_PER_SECOND);
    for (let start = 0; start + BLOCK <= samples.length; start += BLOCK) {
      let power = 0;
      for (let i = start + 1; i < start + BLOCK; i++) {
        power += (samples[i]! - WHITENING * samples[i - 1]!) ** 2;
      }
      this.short += share * (power / (BLOCK - 1) - this.short);
      this.held = Math.max(this.short, this.held * fall);
    }
    return 10 ** (target / 20) / Math.sqrt(Math.max(this.held, 10 ** (floor / 10)));
  }
}
