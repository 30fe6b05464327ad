/** Live Link Face CSV, as the app records it and Unreal's importer reads it (`codetalker.files.livelink`). */

import { ARKIT_NAMES } from "../face/arkit_names.js";
import type { Motion } from "../talker/index.js";

/** Apple's names but for the jaw and the mouth, where the app has the right side first. */
const APP_ORDER = swapped(swapped(ARKIT_NAMES, "jawLeft", "jawRight"), "mouthLeft", "mouthRight");
/** Signs of pitch, yaw, roll: the app's axes are left-handed. */
const HEAD = [["HeadYaw", 1, -1], ["HeadPitch", 0, 1], ["HeadRoll", 2, -1]] as const;
const EYES = ["LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll"];
/** Unreal's importer divides the frame field by 60, whatever the take's rate, if a whole one reaches 31; else by 30. */
const [TIMECODE_RATE, FAST_FIELD] = [60, 31];
/** Seconds between rows that hold a pose, at most: one of them has such a field. */
const LONGEST_STEP = 0.4;

export function livelink({ names, fps, weights, head }: Motion): string {
  const titles = APP_ORDER.map((name) => name[0]!.toUpperCase() + name.slice(1));
  const columns = [...titles, ...HEAD.map(([name]) => name), ...EYES];
  const places = APP_ORDER.map((name) => names.indexOf(name));
  const times = weights.map((_, i) => i / fps);
  // the last pose of a short take is held until it is seen to be one of sixtieths
  while (times.length && !times.some((time) => field(time) >= FAST_FIELD)) {
    times.push(times.at(-1)! + Math.min(1 / fps, LONGEST_STEP));
  }
  const rows = times.map((time, place) => {
    const i = Math.min(place, weights.length - 1);
    const face = places.map((place) => weights[i]![place] ?? 0);
    const turn = HEAD.map(([, axis, sign]) => sign * (head?.[i]?.[axis] ?? 0));
    const values = [...face, ...turn, ...EYES.map(() => 0)].map((value) => value.toFixed(6));
    return [timecode(time), columns.length, ...values].join(",");
  });
  return [["Timecode", "BlendShapeCount", ...columns].join(","), ...rows, ""].join("\n");
}

/** HH:MM:SS:FF.mmm with FF.mmm in sixtieths of a second. */
function timecode(seconds: number): string {
  const ticks = Math.round(seconds * TIMECODE_RATE * 1000);
  const whole = Math.floor(ticks / (TIMECODE_RATE * 1000));
  const [hour, minute, second] = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60].map(two);
  const rest = ticks % (TIMECODE_RATE * 1000);
  return `${hour}:${minute}:${second}:${two(Math.floor(rest / 1000))}.${String(rest % 1000).padStart(3, "0")}`;
}

/** The whole frames of a timecode. */
function field(seconds: number): number {
  return Math.floor(Math.round(seconds * TIMECODE_RATE * 1000) / 1000) % TIMECODE_RATE;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function swapped(names: readonly string[], a: string, b: string): readonly string[] {
  return names.map((name) => (name === a ? b : name === b ? a : name));
}
