/** Microphone: its samples as they are spoken. */

import capture from "./capture.js?worker&url";

export class Microphone {
  private constructor(
    private readonly context: AudioContext,
    private readonly source: MediaStream,
  ) {}

  get rate(): number {
    return this.context.sampleRate;
  }

  /** Ask for it, and hear its samples until `stop`. */
  static async open(hear: (samples: Float32Array, rate: number) => void): Promise<Microphone> {
    let source;
    try {
      source = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, autoGainControl: false } });
    } catch (error) {
      const refused = (error as Error).name === "NotAllowedError";
      throw new Error(refused ? "the microphone is not allowed; allow it in the browser, then try again" : "no microphone can be used; connect one (a page needs https, or localhost, for it)");
    }
    const context = new AudioContext();
    await context.audioWorklet.addModule(new URL(capture, document.baseURI).href);
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => hear(data, context.sampleRate);
    context.createMediaStreamSource(source).connect(node);
    await context.resume();
    return new Microphone(context, source);
  }

  stop(): void {
    for (const track of this.source.getTracks()) track.stop();
    void this.context.close();
  }
}
