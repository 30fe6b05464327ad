/** The worker: the model, and the streams that it makes motion of, one request after another. */

import { fetched } from "../talker/bundle.js";
import { createTalker, type Talker, type TalkerStream } from "../talker/index.js";
import type { Answer, Request } from "./messages.js";

const GZIP = [0x1f, 0x8b];

let talker: Talker;
const streams = new Map<number, TalkerStream>();
const stopped = new Set<number>();
const waiting: Request[] = [];
let busy = false;

onmessage = ({ data }: MessageEvent<Request>) => {
  if (data.kind === "stop") stopped.add(data.id);
  waiting.push(data);
  if (!busy) void work();
};

function answer(message: Answer): void {
  postMessage(message);
}

async function work(): Promise<void> {
  busy = true;
  for (let request = waiting.shift(); request; request = waiting.shift()) {
    const id = "id" in request ? request.id : null;
    try {
      if (id === null || !stopped.has(id)) await handle(request);
      else streams.delete(id);
    } catch (error) {
      if (id !== null) stopped.add(id);
      answer({ kind: "error", id, message: (error as Error).message });
    }
    await new Promise((resolve) => setTimeout(resolve)); // so that a stop is heard
  }
  busy = false;
}

async function handle(request: Request): Promise<void> {
  switch (request.kind) {
    case "load": {
      const binary = await runtime(request.binary);
      const progress = (bytes: number) => answer({ kind: "loading", bytes });
      talker = await createTalker({ bundleUrl: request.model, runtime: { binary, glue: request.glue }, progress });
      const { styles, blendshapes: names, fps, latency } = talker;
      return answer({ kind: "ready", facts: { styles, names, fps, latency } });
    }
    case "start":
      streams.set(request.id, talker.stream({ rate: request.rate, ...request.manner }));
      return;
    case "set":
      return streams.get(request.id)!.set(request.manner);
    case "feed":
    case "finish": {
      const { id } = request;
      const begun = performance.now();
      const last = request.kind === "finish";
      const stream = streams.get(id)!;
      const motion = await (request.kind === "finish" ? stream.finish() : stream.feed(request.samples));
      if (last) streams.delete(id);
      return answer({ kind: "frames", id, motion, seconds: (performance.now() - begun) / 1000, last });
    }
  }
}

/** ONNX Runtime's WebAssembly, which is gzipped unless a server has unpacked it on the way. */
async function runtime(url: string): Promise<ArrayBuffer> {
  const content = await fetched(new URL(url));
  if (!GZIP.every((byte, i) => content[i] === byte)) return content.buffer;
  const unpacked = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).arrayBuffer();
}
