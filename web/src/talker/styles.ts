/** Speaking styles: one of a model's by name, or a blend of several (`codetalker.styles`). */

import { StyleError } from "./errors.js";

/** A name, `A`; or a blend, `A:0.3,B:0.7` or shares by name. */
export type Style = string | Readonly<Record<string, number>>;

/** The embedding of a style, or the mean of several by their shares. */
export function blended(style: Style, rows: ReadonlyMap<string, Float32Array>): Float32Array {
  const shares = Object.entries(typeof style === "string" ? parsed(style) : style);
  const width = rows.values().next().value?.length ?? 0;
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  for (const [name] of shares) {
    if (!rows.has(name)) throw new StyleError(`there is no style '${name}'; choose ${[...rows.keys()].join(", ")}`);
  }
  if (!(Number.isFinite(total) && total > 0 && shares.every(([, share]) => share >= 0))) {
    throw new StyleError(`the style '${JSON.stringify(style)}' needs shares of 0 or more, not all 0`);
  }
  const blend = new Float64Array(width);
  for (const [name, share] of shares) {
    rows.get(name)!.forEach((value, i) => (blend[i]! += (share / total) * value));
  }
  return Float32Array.from(blend);
}

function parsed(style: string): Record<string, number> {
  const blend: Record<string, number> = {};
  for (const part of style.split(",")) {
    const [name = "", share] = part.trim().split(":", 2);
    if (share?.trim() === "" || Number.isNaN(Number(share ?? 1))) {
      throw new StyleError(`the share '${share}' in style '${style}' is no number; write A:0.3,B:0.7`);
    }
    blend[name] = Number(share ?? 1);
  }
  return blend;
}
