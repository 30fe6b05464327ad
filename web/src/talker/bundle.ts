/** Bundle: a model of the bundled family, read and checked (`codetalker.causal.bundle`). */

import type { BlinkOptions } from "./blinks.js";
import { ModelError } from "./errors.js";
import type { LoudnessOptions } from "./loudness.js";
import { readNpy } from "./npy.js";
import { SpeechWindows } from "./windows.js";

const FORMAT_VERSION = 2;
const FILES = ["config.json", "speech.onnx", "talker.onnx", "styles.npy", "codebook.npy"] as const;

/** The files of a bundle folder by name. */
export type BundleFiles = Readonly<Record<(typeof FILES)[number], Uint8Array>>;

export interface Bundle {
  /** Names of the K weights that it predicts. */
  blendshapes: readonly string[];
  windows: SpeechWindows;
  /** The gain at which each window is heard; null hears it as it is. */
  loudness: LoudnessOptions | null;
  /** Procedural blinks; null leaves the learned motion as it is. */
  blinks: BlinkOptions | null;
  /** Seconds in which the mouth comes out of rest at the start of a sound. */
  onset: number;
  /** Style name -> embedding; the first is the default. */
  styles: ReadonlyMap<string, Float32Array>;
  /** Per code: 0 queries the nearest, 1 samples. */
  temperature: readonly number[];
  /** Indices of the weights that `strength` scales. */
  articulation: readonly number[];
  /** Shapes of the arrays that a frame hands to the next. */
  state: Readonly<Record<string, readonly number[]>>;
  /** How many codes there are. */
  codes: number;
  speech: Uint8Array;
  talker: Uint8Array;
  notes: Readonly<Record<string, string>>;
}

interface Config {
  format_version: number;
  family: string;
  blendshapes: string[];
  windows: ConstructorParameters<typeof SpeechWindows>[0];
  loudness: LoudnessOptions | null;
  blinks: BlinkOptions | null;
  onset: number;
  styles: string[];
  default_style: string;
  temperature: number[];
  articulation: number[];
  state: Record<string, number[]>;
  notes: Record<string, string>;
}

/** The files of the bundle at a URL; `progress` hears the bytes that have come. */
export async function fetchBundle(
  url: string,
  progress: (bytes: number) => void = () => {},
): Promise<BundleFiles> {
  const folder = new URL(url.endsWith("/") ? url : `${url}/`, globalThis.location?.href);
  let bytes = 0;
  const contents = await Promise.all(
    FILES.map(async (name) => {
      const content = await fetched(new URL(name, folder), (more) => progress((bytes += more)));
      return [name, content] as const;
    }),
  );
  return Object.fromEntries(contents) as BundleFiles;
}

/** The content at a URL. */
export async function fetched(url: URL, progress: (bytes: number) => void = () => {}): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok || !response.body) {
    throw new ModelError(`${url.pathname} cannot be loaded (${response?.status ?? "no answer"}); reload the page`);
  }
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      progress(chunk.length);
      controller.enqueue(chunk);
    },
  });
  return new Uint8Array(await new Response(response.body.pipeThrough(counted)).arrayBuffer());
}

/** Read a bundle. */
export function readBundle(files: BundleFiles): Bundle {
  for (const name of FILES) {
    if (!files[name]) throw new ModelError(`the model has no ${name}; export it again`);
  }
  const config = parsed(files["config.json"]);
  const styles = readNpy(files["styles.npy"], "styles.npy");
  const codebook = readNpy(files["codebook.npy"], "codebook.npy");
  const width = styles.shape[1] ?? 0;
  if (styles.shape[0] !== config.styles.length || config.state.motion?.[1] !== config.blendshapes.length) {
    throw new ModelError("config.json does not fit the other files of the model; export it again");
  }
  const rows = new Map(
    config.styles.map((name, i) => [name, styles.values.subarray(i * width, (i + 1) * width)]),
  );
  const names = new Set([config.default_style, ...config.styles]);
  return {
    ...config,
    windows: new SpeechWindows(config.windows),
    styles: new Map([...names].map((name) => [name, rows.get(name)!])),
    codes: codebook.shape[0] ?? 0,
    speech: files["speech.onnx"],
    talker: files["talker.onnx"],
  };
}

function parsed(file: Uint8Array): Config {
  let config: Config;
  try {
    config = JSON.parse(new TextDecoder().decode(file));
  } catch {
    throw new ModelError("config.json is no JSON file; export the model again");
  }
  if (config.family !== "default" || config.format_version !== FORMAT_VERSION) {
    throw new ModelError(`config.json is of no bundle of format ${FORMAT_VERSION}; export the model again`);
  }
  return config;
}
