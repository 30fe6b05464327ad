/** Sound: files decoded by the browser, and WAV that plays the very samples that the face is made of. */

/** Mono, full scale -1..1. */
export interface Sound {
  samples: Float32Array;
  rate: number;
}

/** Seconds: longer ones fill a page's memory. */
export const LONGEST = 1800;
/** Hz, for files that do not say theirs in a place where it is looked for. */
const USUAL_RATE = 48_000;

/** Decode a file at its own rate; channels are mixed by their mean. */
export async function decoded(file: ArrayBuffer, name: string): Promise<Sound> {
  if (!file.byteLength) throw new Error(`${name} is an empty file; record or copy it again`);
  const rate = nativeRate(new DataView(file)) ?? USUAL_RATE;
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(file.slice(0));
  } catch {
    throw new Error(`${name} has no sound that this browser can decode; convert it to WAV or MP3`);
  }
  if (!buffer.length) throw new Error(`${name} holds no sound; check the recording`);
  if (buffer.duration > LONGEST) throw new Error(`${name} is longer than 30 minutes; cut it, or use the command line`);
  const samples = buffer.getChannelData(0).slice();
  for (let channel = 1; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((sample, i) => (samples[i]! += sample));
  }
  return { samples: samples.map((sample) => sample / buffer.numberOfChannels), rate };
}

/** What a WAV or FLAC file says of its rate, if a browser takes such a one. */
function nativeRate(view: DataView): number | null {
  if (view.byteLength < 28) return null;
  const kind = view.getUint32(0);
  let rate = 0;
  if (kind === 0x52494646) rate = view.getUint32(24, true); // RIFF
  if (kind === 0x664c6143) rate = view.getUint32(18) >>> 12; // fLaC
  return rate >= 8_000 && rate <= 96_000 ? rate : null;
}

/** A WAV file of 16 bits a sample. */
export function wav({ samples, rate }: Sound): Blob {
  const view = new DataView(new ArrayBuffer(44));
  const fields: [number, string | number, (2 | 4)?][] = [
    [0, "RIFF"], [4, 36 + 2 * samples.length, 4], [8, "WAVEfmt "], [16, 16, 4], [20, 1, 2], [22, 1, 2],
    [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2], [36, "data"], [40, 2 * samples.length, 4],
  ];
  for (const [at, value, width] of fields) {
    if (typeof value === "string") [...value].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    else if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
  }
  const whole = Int16Array.from(samples, (sample) => Math.round(Math.min(Math.max(sample, -1), 1) * 32767));
  return new Blob([view, whole], { type: "audio/wav" });
}
