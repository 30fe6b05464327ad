/** JSON: names, frame rate, weights, and the head's pitch, yaw, roll in radians. */

import type { Motion } from "../talker/index.js";

export function json({ names, fps, weights, head }: Motion): string {
  const rows = (frames: readonly Float32Array[]) => frames.map((frame) => Array.from(frame, (v) => Number(v.toFixed(5))));
  return JSON.stringify({ names, fps, weights: rows(weights), head: head && rows(head) });
}
