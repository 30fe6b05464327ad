/** What the Python package gives, as `golden.py` has written it. */

import { readFileSync } from "node:fs";

import type { BundleFiles, StreamOptions } from "../src/talker/index.js";
import { readNpy } from "../src/talker/npy.js";

const MODEL = new URL("../../src/codetalker/assets/models/live/", import.meta.url);
const GOLDEN = new URL(".golden/", import.meta.url);

interface Golden {
  cases: Record<string, Omit<StreamOptions, "seed"> & { rate: number; seconds: number; seed: string }>;
  rates: number[];
  uniform: number[][];
  gumbel: number[];
}

export const golden = JSON.parse(text("golden.json")) as Golden;

export function text(name: string): string {
  return readFileSync(new URL(name, GOLDEN), "utf8");
}

export function array(name: string): Float32Array {
  return readNpy(readFileSync(new URL(`${name}.npy`, GOLDEN)), name).values;
}

/** The options of a case. */
export function manner(name: string): StreamOptions & { rate: number } {
  const { seconds: _, seed, ...options } = golden.cases[name]!;
  return { ...options, seed: BigInt(seed) };
}

export function bundleFiles(): BundleFiles {
  const names = ["config.json", "speech.onnx", "talker.onnx", "styles.npy", "codebook.npy"];
  return Object.fromEntries(names.map((n) => [n, readFileSync(new URL(n, MODEL))])) as unknown as BundleFiles;
}

/** The largest difference of two arrays. */
export function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}
