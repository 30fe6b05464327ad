/** Motion: blendshape weights over time (`codetalker.motion`); frame i is at i / fps seconds. */

export interface Motion {
  /** K blendshape names, Apple's ARKit names in Apple's order. */
  readonly names: readonly string[];
  /** Frames per second. */
  readonly fps: number;
  /** Number of the first frame: its time in the sound is first / fps. */
  readonly first: number;
  /** (T) times (K) weights, usually in 0..1. */
  readonly weights: readonly Float32Array[];
  /** (T) times pitch, yaw, roll of the head in radians; null for a head that is still. */
  readonly head: readonly Float32Array[] | null;
}

/** Motions one after another. */
export function joinedMotion(parts: readonly [Motion, ...Motion[]]): Motion {
  const heads = parts.map((part) => part.head);
  return {
    ...parts[0],
    weights: parts.flatMap((part) => part.weights),
    head: heads.every((head) => head !== null) ? heads.flat() : null,
  };
}
