/**
 * Chance, frame by frame: what frame i draws depends on (seed, i) alone, so that any chunking draws
 * alike, and as `codetalker.causal.draws` does: Philox 4x64-10 (Salmon and others, *Parallel Random
 * Numbers: As Easy as 1, 2, 3*, 2011) as numpy counts it.
 *
 * A word of 64 bits is two of 32: [low, high].
 */

type Word = readonly [low: number, high: number];

/** Who draws: words of the generator's counter that keep their draws apart. */
export const CODES = 0;
export const BLINKS = 1;
export const LIFE = 2;

const ROUNDS = 10;
const MULTIPLIERS: readonly [Word, Word] = [[0xe14c6c93, 0xd2e7470e], [0x95121157, 0xca5a8263]];
const WEYL: readonly [Word, Word] = [[0x7f4a7c15, 0x9e3779b9], [0x84caa73b, 0xbb67ae85]];
const TWO_32 = 2 ** 32;

/** `count` numbers from 0 up to 1 of one frame: `Generator.random`. */
export function uniform(seed: bigint, frame: number, who: number, count: number): Float64Array {
  return new Draws(seed, frame, who).random(count);
}

/** The generator of one frame's draws. */
export class Draws {
  private block = 0;
  private words: Word[] = [];

  constructor(
    private readonly seed: bigint,
    private readonly frame: number,
    private readonly who: number,
  ) {}

  /** Numbers from 0 up to 1, in steps of 2^-53. */
  random(count: number): Float64Array {
    return Float64Array.from({ length: count }, () => this.next());
  }

  /** Standard Gumbel numbers, as `Generator.gumbel` draws them. */
  gumbel(count: number): Float64Array {
    return Float64Array.from({ length: count }, () => {
      let left = 1;
      while (left === 1) left = 1 - this.next();
      return -Math.log(-Math.log(left));
    });
  }

  private next(): number {
    if (!this.words.length) {
      this.block += 1;
      const key: [Word, Word] = [word(this.seed), [0, 0]];
      this.words = philox([[this.block, 0], [0, 0], [this.who, 0], split(this.frame)], key).reverse();
    }
    const [low, high] = this.words.pop()!;
    return (high * 2 ** 21 + (low >>> 11)) * 2 ** -53;
  }
}

/** Standard normal numbers of twice as many uniform ones (Box and Muller 1958). */
export function normal(uniform: Float64Array): Float64Array {
  const half = uniform.length / 2;
  return Float64Array.from(
    { length: half },
    (_, i) => Math.sqrt(-2 * Math.log1p(-uniform[i]!)) * Math.cos(2 * Math.PI * uniform[half + i]!),
  );
}

/** Four words of chance for a counter and a key. */
export function philox(counter: [Word, Word, Word, Word], key: [Word, Word]): Word[] {
  let [a, b, c, d] = counter;
  let [k, l] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [low0, high0] = product(a, MULTIPLIERS[0]);
    const [low1, high1] = product(c, MULTIPLIERS[1]);
    [a, b, c, d] = [xor(high1, b, k), low1, xor(high0, d, l), low0];
    [k, l] = [sum(k, WEYL[0]), sum(l, WEYL[1])];
  }
  return [a, b, c, d];
}

/** The low and the high word of a product of 128 bits. */
function product([a0, a1]: Word, [b0, b1]: Word): [Word, Word] {
  const first = high(a0, b0) + low(a0, b1) + low(a1, b0);
  const second = high(a0, b1) + high(a1, b0) + low(a1, b1) + Math.floor(first / TWO_32);
  const third = high(a1, b1) + Math.floor(second / TWO_32);
  return [[low(a0, b0), first >>> 0], [second >>> 0, third >>> 0]];
}

/** The low 32 bits of a product. */
function low(a: number, b: number): number {
  return Math.imul(a, b) >>> 0;
}

/** The high 32 bits of a product. */
function high(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  return a1 * b1 + (middle >>> 16) + (other >>> 16);
}

function sum([a0, a1]: Word, [b0, b1]: Word): Word {
  const low = a0 + b0;
  return [low >>> 0, (a1 + b1 + (low >= TWO_32 ? 1 : 0)) >>> 0];
}

function xor([a0, a1]: Word, [b0, b1]: Word, [c0, c1]: Word): Word {
  return [(a0 ^ b0 ^ c0) >>> 0, (a1 ^ b1 ^ c1) >>> 0];
}

function split(value: number): Word {
  return [value >>> 0, Math.floor(value / TWO_32)];
}

function word(value: bigint): Word {
  return [Number(value & 0xffffffffn), Number(value >> 32n)];
}
