/** The port gives the frames of the Python package on the same samples. */

import { beforeAll, describe, expect, test } from "vitest";

import { BLINKS, Draws, uniform } from "../src/talker/draws.js";
import { createTalker, type Motion, type Talker } from "../src/talker/index.js";
import { Loudness } from "../src/talker/loudness.js";
import { joined, StreamResampler } from "../src/talker/resampling.js";
import { apart, array, bundleFiles, golden, manner } from "./golden.js";

const FRAMES = 1e-3;

describe("chance", () => {
  test("uniform numbers are numpy's", () => {
    const seeds = [0n, 7n, 2n ** 63n - 1n];
    expect(seeds.map((seed) => [...uniform(seed, 12345, 2, 9)])).toEqual(golden.uniform);
  });

  test("Gumbel numbers are numpy's", () => {
    expect(apart(new Draws(99n, 4, 0).gumbel(11), golden.gumbel)).toBeLessThan(1e-13);
  });

  test("each frame and each who draws otherwise", () => {
    const first = uniform(1n, 5, BLINKS, 1)[0];
    expect(uniform(1n, 6, BLINKS, 1)[0]).not.toBe(first);
    expect(uniform(1n, 5, BLINKS + 1, 1)[0]).not.toBe(first);
  });
});

describe("resampler", () => {
  test.each(golden.rates)("from %i Hz gives Python's samples, whatever the chunks", (rate) => {
    const noise = array("noise");
    const stream = new StreamResampler(rate);
    const parts = [];
    for (let start = 0; start < noise.length; start += 77) {
      parts.push(stream.feed(noise.subarray(start, start + 77)));
    }
    expect(apart(joined([...parts, stream.finish()]), array(`resampled-${rate}`))).toBeLessThan(2e-6);
  });

  test("no rate of a fraction or out of range", () => {
    for (const rate of [0, 999, 44100.5, 2e6, NaN]) expect(() => new StreamResampler(rate)).toThrow(/sample rate/);
  });
});

test("loudness gives Python's gains", () => {
  const loudness = new Loudness({ target: -28, floor: -78, attack: 0.2, release: 2 });
  const samples = array("plain-samples");
  const gains = Array.from({ length: 60 }, (_, i) => loudness.follow(samples.subarray(1280 * i, 1280 * (i + 1))));
  const expected = array("gains");
  expect(apart(gains.map((gain, i) => gain / expected[i]!), gains.map(() => 1))).toBeLessThan(1e-6);
});

describe("talker", () => {
  let talker: Talker;
  beforeAll(async () => {
    talker = await createTalker({ files: bundleFiles() });
  }, 60_000);

  test.each(Object.keys(golden.cases))("case %s: Python's frames", { timeout: 60_000 }, async (name) => {
    const { rate, ...rest } = manner(name);
    const motion = await talker.animate(array(`${name}-samples`), rate, rest);
    expect(apart(joined(motion.weights), array(`${name}-weights`))).toBeLessThan(FRAMES);
    if (rest.life) expect(apart(joined(motion.head!), array(`${name}-head`))).toBeLessThan(FRAMES);
    else expect(motion.head).toBeNull();
  });

  test("any chunks give the same frames, each within the latency", { timeout: 60_000 }, async () => {
    const { rate, ...rest } = manner("lively");
    const samples = array("lively-samples");
    const stream = talker.stream({ rate, ...rest });
    const parts: Motion[] = [];
    let count = 0;
    for (let start = 0, step = 1; start < samples.length; start += step, step = (step * 7 + 501) % 9001) {
      const part = await stream.feed(samples.subarray(start, start + step));
      expect(part.first).toBe(count);
      count += part.weights.length;
      const heard = Math.min(start + step, samples.length) / rate;
      expect(count).toBeGreaterThanOrEqual(Math.floor((heard - talker.latency - 0.006) * talker.fps));
      parts.push(part);
    }
    parts.push(await stream.finish());
    const weights = joined(parts.flatMap((part) => part.weights));
    expect(apart(weights, array("lively-weights"))).toBeLessThan(FRAMES);
    await expect(async () => stream.feed(samples)).rejects.toThrow("finished");
  });

  test("calls that are not awaited keep their order", async () => {
    const samples = array("plain-samples").subarray(0, 16000);
    const stream = talker.stream();
    const parts = [stream.feed(samples.subarray(0, 9000)), stream.feed(samples.subarray(9000)), stream.finish()];
    const weights = joined((await Promise.all(parts)).flatMap((part) => part.weights));
    expect(weights).toEqual(joined((await talker.animate(samples, 16000)).weights));
  });

  test("what cannot be is refused with its remedy", () => {
    expect(() => talker.stream({ style: "nobody" })).toThrow("no style 'nobody'; choose neutral");
    expect(() => talker.stream({ style: "s1:x" })).toThrow("no number");
    expect(() => talker.stream({ strength: 4 })).toThrow("choose from 0 to 3");
    expect(() => talker.stream({ seed: -1 })).toThrow("whole number");
    expect(() => talker.stream().feed(Float32Array.of(0, NaN, 0))).toThrow("NaN");
    expect(() => talker.stream().feed(Float32Array.of(300))).toThrow("full scale is 1");
  });
});

test("a bundle that lacks a file, or is damaged, is refused", async () => {
  const { "styles.npy": _, ...lacking } = bundleFiles();
  await expect(createTalker({ files: lacking as never })).rejects.toThrow("no styles.npy");
  const damaged = { ...bundleFiles(), "codebook.npy": new Uint8Array(40) };
  await expect(createTalker({ files: damaged })).rejects.toThrow("codebook.npy");
  const text = { ...bundleFiles(), "config.json": new TextEncoder().encode("{") };
  await expect(createTalker({ files: text })).rejects.toThrow("config.json");
});
